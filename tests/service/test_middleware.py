"""The gate around every request."""

import gzip

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.middleware import RequestGate
from service.problems import install_problem_handlers
from service.schemas import Schema
from service.settings import Settings


class Body(Schema):
    value: float
    name: str = ""


@pytest.fixture
def gated(tmp_path):
    app = FastAPI()
    install_problem_handlers(app)

    @app.post("/echo")
    def echo(body: Body) -> Body:
        return body

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("John Doe, born 1950")

    @app.get("/full")
    def full() -> None:
        raise OSError(28, "No space left on device")

    app.add_middleware(
        RequestGate, settings=Settings(data_dir=tmp_path, max_json_bytes=1000, host="10.0.0.1")
    )
    return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)


def post(client, content, **headers):
    return client.post(
        "/echo", content=content, headers={"Content-Type": "application/json", **headers}
    )


def test_sound_json_reaches_the_route(gated):
    response = post(gated, b'{"value": 1.5, "name": "\xc3\xa9"}')

    assert response.json() == {"value": 1.5, "name": "é"}


def test_request_id_is_echoed(gated):
    response = post(gated, b'{"value": 1}', **{"X-Request-Id": "abc-123"})

    assert response.headers["x-request-id"] == "abc-123"


def test_unsafe_request_id_is_replaced(gated):
    response = post(gated, b'{"value": 1}', **{"X-Request-Id": "a" * 65})

    assert len(response.headers["x-request-id"]) == 32


def test_problem_carries_the_request_id(gated):
    response = post(gated, b"{", **{"X-Request-Id": "abc"})

    assert response.json()["request_id"] == "abc"


def test_unknown_host_is_refused(gated):
    response = gated.get("/broken", headers={"Host": "evil.example"})

    assert response.status_code == 400
    assert response.json()["code"] == "malformed"


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:80", "10.0.0.1:8000"])
def test_own_hosts_are_accepted_with_any_port(gated, host):
    response = post(gated, b'{"value": 1}', Host=host)

    assert response.status_code == 200


def test_answers_forbid_sniffing_framing_and_caching(gated):
    headers = post(gated, b'{"value": 1}').headers

    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"


def test_unexpected_error_is_a_problem_that_tells_nothing_about_its_inside(gated):
    response = gated.get("/broken")

    assert response.status_code == 500
    assert response.json()["code"] == "internal"
    assert "John" not in response.text


def test_unexpected_error_is_logged_without_its_message(gated, caplog):
    gated.get("/broken")

    assert "John" not in " ".join(str(record.msg) for record in caplog.records)


def test_full_disk_is_insufficient_storage(gated):
    response = gated.get("/full")

    assert response.status_code == 507
    assert response.json()["retryable"] is True


def test_large_json_is_refused_with_the_limit(gated):
    response = post(gated, b'{"value": 1, "name": "' + b"x" * 1000 + b'"}')

    assert response.status_code == 413
    assert response.json()["max_bytes"] == 1000


def test_large_chunked_json_is_refused_although_it_declares_no_length(gated):
    response = post(gated, iter([b'{"value": 1, "name": "', b"x" * 2000, b'"}']))

    assert response.status_code == 413


def test_body_that_is_not_json_is_an_unsupported_media_type(gated):
    response = post(gated, b"value=1", **{"Content-Type": "application/x-www-form-urlencoded"})

    assert response.status_code == 415
    assert response.json()["accepted"] == ["application/json"]


def test_compressed_body_is_refused(gated):
    response = post(gated, gzip.compress(b'{"value": 1}'), **{"Content-Encoding": "gzip"})

    assert response.status_code == 415


def test_nul_in_the_address_is_refused(gated):
    assert gated.get("/broken%00").status_code == 400
    assert gated.get("/broken?a=%00").status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        b'{"value": NaN}',
        b'{"value": Infinity}',
        b'{"value": 1e999}',
        b'{"value": ' + b"9" * 500 + b"}",
        b'{"value": 1, "value": 2}',
        b'{"value": 1, "name": "\\ud800"}',
        b'{"value": 1, "name": "\\u0000"}',
        b"[" * 400 + b"]" * 400,
        b'{"value": "1"}',
        b'{"value": true}',
        b'{"value": 1, "nmae": "x"}',
        b"",
    ],
)
def test_unsound_values_are_unprocessable(gated, body):
    response = post(gated, body)

    assert response.status_code == 422
    assert response.json()["code"] == "validation"


@pytest.mark.parametrize("body", [b"{", b"\xff", b"\xef\xbb\xbf{}", b"{'value': 1}", b"nope"])
def test_broken_json_is_malformed(gated, body):
    response = post(gated, body)

    assert response.status_code == 400
    assert response.json()["code"] == "malformed"


def test_validation_names_the_field_by_json_pointer_and_the_value_seen(gated):
    problem = post(gated, b'{"value": "high"}').json()

    assert problem["errors"][0]["pointer"] == "/value"
    assert "'high'" in problem["errors"][0]["detail"]
