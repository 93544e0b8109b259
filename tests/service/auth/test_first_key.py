"""The first admin key."""

from concurrent.futures import ThreadPoolExecutor

from service.auth.first_key import ensure_admin_key
from service.auth.keys import authenticate


def test_first_start_makes_an_admin_key(any_resources, tmp_path):
    secret = ensure_admin_key(any_resources, tmp_path / "admin.key")

    assert authenticate(any_resources.database, secret).may("admin")


def test_secret_is_written_for_the_owner_only(resources, tmp_path):
    path = tmp_path / "admin.key"

    secret = ensure_admin_key(resources, path)

    assert path.read_text().strip() == secret
    assert path.stat().st_mode & 0o777 == 0o600


def test_second_start_makes_none(resources, tmp_path):
    path = tmp_path / "admin.key"
    ensure_admin_key(resources, path)
    content = path.read_text()

    assert ensure_admin_key(resources, path) is None
    assert path.read_text() == content


def test_racing_starts_make_one_key(any_resources, tmp_path):
    with ThreadPoolExecutor(4) as pool:
        made = list(
            pool.map(lambda _: ensure_admin_key(any_resources, tmp_path / "admin.key"), range(4))
        )

    assert len([secret for secret in made if secret]) == 1
