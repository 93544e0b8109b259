"""Batches from single requests: takes what waits, up to a size, and waits briefly for company.

Pure asyncio; what predicts is a parameter.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from service.errors import Unavailable

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Answer(Generic[Result]):
    """A result with the seconds its item waited and the seconds its batch took."""

    result: Result
    queue_s: float
    forward_s: float


@dataclass(eq=False)
class _Waiting(Generic[Item, Result]):
    group: str
    item: Item
    since: float
    answer: asyncio.Future[Answer[Result]] = field(repr=False)


class Batcher(Generic[Item, Result]):
    """Collects items of one group (a model) into a batch; one batch runs at a time.

    A failed batch is repeated item by item, so that an item that cannot be predicted fails alone.

    Args:
        predict: computes the results of items of one group, in their order.
        max_batch: a batch is closed at this size,
        max_delay_ms: or when its oldest item has waited so long.
        max_waiting: items that may wait; more are refused.
    """

    def __init__(
        self,
        predict: Callable[[str, Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        max_batch: int,
        max_delay_ms: float,
        max_waiting: int,
    ) -> None:
        self._predict = predict
        self._max_batch = max_batch
        self._max_delay_s = max_delay_ms / 1000
        self._max_waiting = max_waiting
        self._waiting: list[_Waiting[Item, Result]] = []
        self._arrived = asyncio.Event()
        self._batch_s = 0.0
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to form batches, in the running event loop."""
        self._loop = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop; whoever still waits gets `Unavailable`."""
        if self._loop is not None:
            self._loop.cancel()
            with suppress(asyncio.CancelledError):
                await self._loop
        self._fail(self._waiting, Unavailable("the service is stopping"))
        self._waiting = []

    async def submit(self, group: str, item: Item) -> Answer[Result]:
        """Return the result for `item`; cancelling the call withdraws it.

        Raises:
            Unavailable: too many items wait; `Retry-After` says when to come again.
        """
        if len(self._waiting) >= self._max_waiting:
            raise Unavailable(
                f"{len(self._waiting)} predictions wait, expected {self._max_waiting} at most",
                code="queue-full",
                headers={"Retry-After": str(self._retry_after_seconds())},
            )
        loop = asyncio.get_running_loop()
        waiting = _Waiting(group, item, loop.time(), loop.create_future())
        self._waiting.append(waiting)
        self._arrived.set()
        try:
            return await waiting.answer
        finally:
            if waiting in self._waiting:
                self._waiting.remove(waiting)

    async def _run(self) -> None:
        while True:
            batch = await self._collect()
            try:
                await self._answer(batch)
            except asyncio.CancelledError:
                self._fail(batch, Unavailable("the service is stopping"))
                raise

    async def _collect(self) -> list[_Waiting[Item, Result]]:
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        while (delay := self._time_to_close()) > 0:
            self._arrived.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), delay)
            if not self._waiting:
                return []
        batch = self._of_oldest_group()[: self._max_batch]
        self._waiting = [one for one in self._waiting if one not in batch]
        return batch

    def _time_to_close(self) -> float:
        if not self._waiting or len(self._of_oldest_group()) >= self._max_batch:
            return 0.0
        return self._waiting[0].since + self._max_delay_s - asyncio.get_running_loop().time()

    def _of_oldest_group(self) -> list[_Waiting[Item, Result]]:
        return [one for one in self._waiting if one.group == self._waiting[0].group]

    async def _answer(self, batch: list[_Waiting[Item, Result]]) -> None:
        if not batch:
            return
        started = asyncio.get_running_loop().time()
        try:
            results = await self._predict(batch[0].group, [one.item for one in batch])
        except Exception as error:
            if len(batch) == 1:
                self._fail(batch, error)
                return
            for one in batch:
                if not one.answer.done():
                    await self._answer([one])
            return
        self._batch_s = asyncio.get_running_loop().time() - started
        for one, result in zip(batch, results, strict=True):
            if not one.answer.done():
                one.answer.set_result(Answer(result, started - one.since, self._batch_s))

    def _fail(self, batch: Sequence[_Waiting[Item, Result]], error: Exception) -> None:
        for one in batch:
            if not one.answer.done():
                one.answer.set_exception(error)

    def _retry_after_seconds(self) -> int:
        return max(1, math.ceil(self._batch_s * len(self._waiting) / self._max_batch))
