"""Probes, version, metrics."""

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from service.app import create_app


def test_live_process_says_so(client):
    assert client.get("/livez").json() == {"status": "alive"}


def test_service_is_ready_when_all_parts_are_up(client):
    response = client.get("/readyz")

    assert response.json() == {
        "status": "ready",
        "database": "up",
        "storage": "up",
        "broker": "up",
    }


def test_dead_broker_only_degrades(settings):
    without = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})

    with TestClient(create_app(without), base_url="http://localhost") as client:
        response = client.get("/readyz")

    assert response.status_code == 200
    assert response.json()["status"] == "degraded"


def test_schema_that_is_not_migrated_is_not_ready(client, resources):
    with resources.database.write() as session:
        session.execute(text("DELETE FROM alembic_version"))

    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json()["retryable"] is True


def test_storage_without_space_is_not_ready(settings):
    full = settings.model_copy(update={"min_free_bytes": 2**62})

    with TestClient(create_app(full), base_url="http://localhost") as client:
        response = client.get("/readyz")

    assert response.status_code == 503


def test_probes_answer_under_any_host_name(client):
    assert client.get("/livez", headers={"Host": "10.1.2.3:8000"}).status_code == 200


def test_version_is_the_packages(client):
    assert client.get("/version").json()["version"] == "0.1.0"


@pytest.mark.parametrize(
    "metric",
    [
        "amlp_http_request_duration_seconds_bucket",
        "amlp_broker_up 1.0",
        'amlp_disk_free_bytes{mount="data"}',
        'amlp_build_info{version="0.1.0"} 1.0',
    ],
)
def test_metrics_hold(client, headers, metric):
    client.get("/version")

    assert metric in client.get("/metrics", headers=headers).text


def test_metrics_need_their_scope(client, make_headers):
    response = client.get("/metrics", headers=make_headers("jobs:read"))

    assert response.status_code == 403


def test_metrics_label_requests_by_route_and_never_by_path(client, headers):
    client.get("/v1/datasets/ds_secret", headers=headers)

    exposed = client.get("/metrics", headers=headers).text
    assert 'route="/v1/datasets/{dataset_id}"' in exposed
    assert "ds_secret" not in exposed
