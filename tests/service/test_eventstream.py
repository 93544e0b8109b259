"""Streams over rows that grow while they are watched."""

import asyncio
from collections.abc import Callable

from fastapi.sse import ServerSentEvent

from service.eventstream import Batch, Entry, follow


def collect(fetch: Callable[[int], Batch], after: int = 0) -> list[ServerSentEvent]:
    async def run() -> list[ServerSentEvent]:
        return [event async for event in follow(fetch, after=after, poll_seconds=0.01)]

    return asyncio.run(asyncio.wait_for(run(), 20))


def rows(count: int) -> list[Entry]:
    return [Entry(seq, "metric", {"step": seq}) for seq in range(1, count + 1)]


def later_than(entries: list[Entry], after: int) -> list[Entry]:
    return [entry for entry in entries if entry.seq > after]


def test_every_row_is_sent_once_with_its_number_as_id() -> None:
    entries = rows(3)

    events = collect(lambda after: Batch(later_than(entries, after), {"state": "SUCCEEDED"}))

    assert [event.id for event in events if event.id] == ["1", "2", "3"]
    assert events[-1].event == "done"


def test_stream_goes_on_after_the_last_event_the_client_has() -> None:
    entries = rows(3)

    events = collect(lambda after: Batch(later_than(entries, after), {"state": "FAILED"}), after=2)

    assert [event.id for event in events if event.id] == ["3"]


def test_rows_that_appear_later_are_sent_too() -> None:
    looks: list[int] = []

    def fetch(after: int) -> Batch:
        looks.append(after)
        grown = rows(min(len(looks), 4))
        return Batch(later_than(grown, after), "end" if len(looks) > 6 else None)

    events = collect(fetch)

    assert [event.id for event in events if event.id] == ["1", "2", "3", "4"]


def test_first_event_tells_the_client_when_to_reconnect() -> None:
    events = collect(lambda _: Batch([], "end"))

    assert events[0].retry == 3000
