"""Pages of lists: keyset paging, so that a page is right however the list grows."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import Field
from sqlalchemy import ColumnElement, Select
from sqlalchemy.orm import InstrumentedAttribute, Session

from service.errors import Fault, Unprocessable
from service.schemas import Schema

MAX_LIMIT = 200

T = TypeVar("T")


class Page(Schema, Generic[T]):
    """One page of a list; `next_cursor` is null on the last."""

    items: list[T]
    next_cursor: str | None = Field(description="Pass as `cursor` to get the next page")


class PageParams(Schema):
    """Which page is asked for."""

    limit: int = 50
    cursor: str | None = None

    def key(self) -> str | None:
        """Return the key that the page starts after, None for the first page."""
        if self.cursor is None:
            return None
        match decode_cursor(self.cursor):
            case [str(key)]:
                return key
            case _:
                raise _bad_cursor()


def _page_params(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Most items on a page")] = 50,
    cursor: Annotated[
        str | None, Query(max_length=1000, description="`next_cursor` of the page before")
    ] = None,
) -> PageParams:
    return PageParams(limit=limit, cursor=cursor)


PageDep = Annotated[PageParams, Depends(_page_params)]


def fetch_page(
    session: Session,
    statement: Select[T],
    key: InstrumentedAttribute[str],
    params: PageParams,
    *,
    descending: bool = True,
) -> tuple[Sequence[T], str | None]:
    """Return one page of `statement`, ordered by the unique column `key`, and its next cursor."""
    after = params.key()
    if after is not None:
        condition: ColumnElement[bool] = key < after if descending else key > after
        statement = statement.where(condition)
    order = key.desc() if descending else key.asc()
    rows = session.scalars(statement.order_by(order).limit(params.limit + 1)).all()
    if len(rows) <= params.limit:
        return rows, None
    page = rows[: params.limit]
    return page, encode_cursor(getattr(page[-1], key.key))


def encode_cursor(*values: str | float) -> str:
    """Return the opaque form of a position in a list."""
    packed = json.dumps(values, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def decode_cursor(cursor: str) -> list[Any]:
    """Return the values of a position.

    Raises:
        Unprocessable: the cursor was not made by `encode_cursor`.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        values = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise _bad_cursor() from error
    if not isinstance(values, list) or not all(_is_position(value) for value in values):
        raise _bad_cursor()
    return values


def _is_position(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" not in value and value.isprintable()
    return isinstance(value, int | float) and abs(value) < 2**53


def _bad_cursor() -> Unprocessable:
    detail = "not a cursor of this list; use `next_cursor` of the page before"
    return Unprocessable(detail, faults=[Fault("/cursor", detail)])
