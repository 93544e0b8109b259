"""The application as a whole: what every route must have."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

import service.app  # noqa: F401  (it defines all schemas)
from service.schemas import Schema

OPEN_PATHS = {"/livez", "/readyz", "/version", "/openapi.json"}


def operations(client: TestClient):
    document = client.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_importing_the_application_loads_no_torch():
    script = "import service.app, sys; print('torch' in sys.modules)"

    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert answer.stdout.strip() == "False"


def test_every_operation_has_a_summary(client):
    missing = [name for name, operation in operations(client) if not operation.get("summary")]

    assert missing == []


def test_every_success_describes_its_content(client):
    missing = [
        name
        for name, operation in operations(client)
        for status, response in operation["responses"].items()
        if status.startswith("2") and status != "204" and not response.get("content")
    ]

    assert missing == []


def test_every_json_body_has_an_example(client):
    document = client.get("/openapi.json").json()
    bodies = {
        name: operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        for name, operation in operations(client)
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    }

    schemas = document["components"]["schemas"]

    assert len(bodies) >= 5
    assert [name for name, ref in bodies.items() if "examples" not in schemas[Path(ref).name]] == []


def test_every_example_is_what_its_schema_describes():
    described = [
        (schema, example)
        for schema in Schema.__subclasses__()
        for example in (schema.model_config.get("json_schema_extra") or {}).get("examples", [])
    ]

    for schema, example in described:
        schema.model_validate_json(json.dumps(example))

    assert len(described) > 10


def test_every_operation_of_the_api_names_its_problems(client):
    missing = [
        name
        for name, operation in operations(client)
        if "/v1/" in name and not {"401", "403", "422"} <= set(operation["responses"])
    ]

    assert missing == []


def test_every_problem_is_documented_as_a_problem_document(client):
    wrong = [
        (name, status)
        for name, operation in operations(client)
        for status, response in operation["responses"].items()
        if status.startswith(("4", "5")) and "application/problem+json" not in response["content"]
    ]

    assert wrong == []


def test_no_route_but_the_probes_works_without_a_key(client):
    document = client.get("/openapi.json").json()

    answers = {
        (method, path): client.request(method, path.replace("{", "").replace("}", "")).status_code
        for path, methods in document["paths"].items()
        for method in methods
        if path not in OPEN_PATHS
    }

    assert {route: status for route, status in answers.items() if status != 401} == {}


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/nothing"), ("GET", "/../etc/passwd")])
def test_unknown_path_is_a_problem_document(client, method, path):
    response = client.request(method, path)

    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "not-found"


def test_wrong_method_is_a_problem_document_that_names_the_right_ones(client):
    response = client.put("/version")

    assert response.status_code == 405
    assert response.json()["code"] == "method-not-allowed"
    assert response.headers["allow"] == "GET"
