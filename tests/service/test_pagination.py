"""Pages of lists."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from service.auth.keys import create_key
from service.auth.tables import ApiKey
from service.errors import Unprocessable
from service.pagination import PageParams, decode_cursor, encode_cursor, fetch_page


@given(st.lists(st.text(st.characters(categories=["L", "N", "P"])) | st.integers(-9999, 9999)))
def test_cursor_round_trips(values):
    assert decode_cursor(encode_cursor(*values)) == values


@pytest.mark.parametrize(
    "cursor", ["", "x", "!!!!", "bnVsbA", encode_cursor("a\0"), encode_cursor(1e300), "é" * 5]
)
def test_forged_cursor_is_refused(cursor):
    with pytest.raises(Unprocessable) as caught:
        decode_cursor(cursor)

    assert caught.value.faults[0].pointer == "/cursor"


@pytest.mark.parametrize("descending", [True, False])
def test_pages_cover_the_list_once_and_in_order(any_resources, descending):
    with any_resources.database.write() as session:
        made = [create_key(session, name="x", scopes=["admin"])[0].id for _ in range(5)]

    seen, cursor = [], None
    with any_resources.database.read() as session:
        for _ in range(3):
            page = PageParams(limit=2, cursor=cursor)
            rows, cursor = fetch_page(
                session, select(ApiKey), ApiKey.id, page, descending=descending
            )
            seen += [row.id for row in rows]

    assert cursor is None
    assert seen == sorted(made, reverse=descending)


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=201", "limit=a", "cursor=%21"])
def test_bad_page_parameters_are_unprocessable(client, headers, query):
    response = client.get(f"/v1/datasets?{query}", headers=headers)

    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] in {"/limit", "/cursor"}
