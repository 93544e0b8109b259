"""API keys."""

import re

import pytest
from sqlalchemy import select, update

from service.auth.keys import authenticate, create_key
from service.auth.tables import ApiKey
from service.database import db_now
from service.errors import Unauthenticated


def make(resources, **options) -> tuple[ApiKey, str]:
    with resources.database.write() as session:
        return create_key(session, name="x", **{"scopes": ["jobs:read"], **options})


def change(resources, **values) -> None:
    with resources.database.write() as session:
        session.execute(update(ApiKey).values(**values))


def test_secret_has_the_documented_form(resources):
    _, secret = make(resources)

    assert re.fullmatch(r"amlp_live_\w{8}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}", secret)


def test_secrets_differ(resources):
    assert make(resources)[1] != make(resources)[1]


def test_secret_is_not_stored(resources, settings):
    _, secret = make(resources)
    resources.database.close()

    body = secret.split("_")[3].encode()
    assert all(body not in path.read_bytes() for path in settings.data_dir.glob("amlp.db*"))


def test_key_authenticates_its_tenant_and_scopes(any_resources):
    row, secret = make(any_resources, tenant_id="clinic-a", scopes=["jobs:read", "predict:run"])

    principal = authenticate(any_resources.database, secret)

    assert (principal.key_id, principal.tenant_id) == (row.id, "clinic-a")
    assert principal.may("predict:run")
    assert not principal.may("jobs:submit")


def test_admin_may_everything(resources):
    _, secret = make(resources, scopes=["admin"])

    assert authenticate(resources.database, secret).may("datasets:delete")


def test_mistyped_key_is_refused_without_asking_the_database():
    class NoDatabase:
        def read(self):
            raise AssertionError

    with pytest.raises(Unauthenticated, match="checksum"):
        authenticate(NoDatabase(), "amlp_live_abcdefgh_" + "x" * 43 + "_000000")


@pytest.mark.parametrize("secret", ["", "_", "amlp", "amlp_live", "é_é", "\ud800_1", "a" * 10_000])
def test_nonsense_is_refused(resources, secret):
    with pytest.raises(Unauthenticated):
        authenticate(resources.database, secret)


def test_unknown_key_is_refused(resources):
    _, secret = make(resources)
    with resources.database.write() as session:
        session.delete(session.scalars(select(ApiKey)).one())

    with pytest.raises(Unauthenticated, match="unknown"):
        authenticate(resources.database, secret)


def test_revoked_key_is_refused(resources):
    _, secret = make(resources)
    change(resources, revoked_at=db_now())

    with pytest.raises(Unauthenticated, match="revoked"):
        authenticate(resources.database, secret)


def test_expired_key_is_refused(resources):
    _, secret = make(resources, expires_at=1.0)

    with pytest.raises(Unauthenticated, match="expired"):
        authenticate(resources.database, secret)


def test_use_is_recorded_at_most_once_a_minute(any_resources):
    _, secret = make(any_resources)
    stamps = []
    for _ in range(2):
        authenticate(any_resources.database, secret)
        with any_resources.database.read() as session:
            stamps.append(session.scalars(select(ApiKey.last_used_at)).one())

    assert stamps[0] is not None
    assert stamps[0] == stamps[1]
