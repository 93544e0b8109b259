"""Rows as server-sent events: a stream that polls, and misses nothing across reconnects.

The id of an event is the sequence number of its row, so `Last-Event-ID` says exactly where to go
on. FastAPI sends a comment every 15 s while nothing happens, which keeps proxies from closing.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi.concurrency import run_in_threadpool
from fastapi.sse import ServerSentEvent

POLL_SECONDS = 0.5
RETRY_MS = 3000
DONE = "done"


@dataclass(frozen=True)
class Entry:
    """One row of the stream."""

    seq: int
    type: str
    data: Any  # JSON


@dataclass(frozen=True)
class Batch:
    """The rows after some sequence number, in order.

    Attributes:
        entries: the rows; more may follow.
        closing: contents of the last event, once no further row can come; None until then.
    """

    entries: Sequence[Entry]
    closing: Any = None  # JSON


async def follow(
    fetch: Callable[[int], Batch], *, after: int, poll_seconds: float = POLL_SECONDS
) -> AsyncIterator[ServerSentEvent]:
    """Yield every row after `after` as it appears, then one `done` event.

    Args:
        fetch: returns the rows after a sequence number; called in a thread.
        after: sequence number of the last row the client has seen, 0 for none.
        poll_seconds: wait between two looks that find nothing.
    """
    yield ServerSentEvent(comment="stream of rows", retry=RETRY_MS)
    while True:
        batch = await run_in_threadpool(fetch, after)
        for entry in batch.entries:
            after = entry.seq
            yield ServerSentEvent(id=str(entry.seq), event=entry.type, data=entry.data)
        if batch.entries:
            continue
        if batch.closing is not None:
            yield ServerSentEvent(event=DONE, data=batch.closing)
            return
        await asyncio.sleep(poll_seconds)
