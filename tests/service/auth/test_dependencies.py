"""The gate of every route."""

import pytest


def test_missing_key_asks_for_one(client):
    response = client.get("/v1/datasets")

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json()["code"] == "unauthenticated"


@pytest.mark.parametrize(
    "value", ["Bearer nonsense", "Basic YTpi", "Bearer", "bearer ", "Bearer \xe9_\xe9"]
)
def test_wrong_authorization_is_unauthenticated(client, value):
    response = client.get("/v1/datasets", headers={"Authorization": value.encode("latin-1")})

    assert response.status_code == 401


def test_key_in_the_address_is_refused_even_with_a_valid_header(client, api_key, headers):
    response = client.get(f"/v1/datasets?api_key={api_key}", headers=headers)

    assert response.status_code == 401
    assert api_key not in response.text


def test_missing_scope_is_named(client, make_headers):
    response = client.get("/v1/datasets", headers=make_headers("jobs:read"))

    assert response.status_code == 403
    assert "datasets:read" in response.json()["detail"]


def test_sufficient_scope_is_let_in(client, make_headers):
    response = client.get("/v1/datasets", headers=make_headers("datasets:read"))

    assert response.status_code == 200
