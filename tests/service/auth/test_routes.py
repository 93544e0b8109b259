"""Managing keys over HTTP."""

import pytest

REQUEST = {"name": "PACS", "scopes": ["predict:run"], "tenant_id": "clinic-a"}


def test_new_key_works_at_once(client, headers):
    made = client.post("/v1/api-keys", headers=headers, json=REQUEST).json()

    response = client.get("/v1/datasets", headers={"Authorization": f"Bearer {made['secret']}"})
    assert response.json()["code"] == "insufficient-scope"


def test_secret_is_shown_once(client, headers):
    secret = client.post("/v1/api-keys", headers=headers, json=REQUEST).json()["secret"]

    assert secret not in client.get("/v1/api-keys", headers=headers).text


def test_revoked_key_stops_working(client, headers):
    made = client.post("/v1/api-keys", headers=headers, json=REQUEST).json()

    first = client.delete(f"/v1/api-keys/{made['id']}", headers=headers)
    second = client.delete(f"/v1/api-keys/{made['id']}", headers=headers)

    response = client.get("/v1/datasets", headers={"Authorization": f"Bearer {made['secret']}"})
    assert (first.status_code, second.status_code, response.status_code) == (204, 204, 401)


def test_expiry_is_kept(client, headers):
    body = REQUEST | {"expires_at": "2100-01-01T00:00:00Z"}

    made = client.post("/v1/api-keys", headers=headers, json=body).json()

    assert made["expires_at"] == "2100-01-01T00:00:00Z"


def test_unknown_key_cannot_be_revoked(client, headers):
    assert client.delete("/v1/api-keys/key_none", headers=headers).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"scopes": []},
        {"scopes": ["everything"]},
        {"name": ""},
        {"tenant_id": "../x"},
        {"expires_at": "2100-01-01T00:00:00"},
        {"secret": "mine"},
    ],
)
def test_wrong_request_is_unprocessable(client, headers, wrong):
    response = client.post("/v1/api-keys", headers=headers, json=REQUEST | wrong)

    assert response.status_code == 422


def test_keys_are_for_admins_only(client, make_headers):
    response = client.get("/v1/api-keys", headers=make_headers("datasets:read", "metrics:read"))

    assert response.status_code == 403
