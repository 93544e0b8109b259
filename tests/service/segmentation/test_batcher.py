"""Batches: how they form, and that one bad item fails alone."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from service.errors import Unavailable
from service.segmentation.batcher import Batcher


class Network:
    """A predict function that records its batches: doubles numbers, and dislikes some."""

    def __init__(self, *, seconds: float = 0.0, disliked: Sequence[int] = ()) -> None:
        self.batches: list[tuple[str, list[int]]] = []
        self._seconds = seconds
        self._disliked = set(disliked)

    async def predict(self, group: str, items: Sequence[int]) -> Sequence[int]:
        self.batches.append((group, list(items)))
        await asyncio.sleep(self._seconds)
        if self._disliked & set(items):
            raise ValueError(f"cannot predict one of {list(items)}")
        return [2 * item for item in items]


def run(
    network: Network,
    use: Callable[[Batcher[int, int]], Coroutine[Any, Any, Any]],
    *,
    max_batch: int = 4,
    max_delay_ms: float = 20.0,
    max_waiting: int = 100,
) -> Any:
    async def main() -> Any:
        batcher: Batcher[int, int] = Batcher(
            network.predict,
            max_batch=max_batch,
            max_delay_ms=max_delay_ms,
            max_waiting=max_waiting,
        )
        batcher.start()
        try:
            return await use(batcher)
        finally:
            await batcher.stop()

    return asyncio.run(main())


async def submit_all(batcher: Batcher[int, int], items: Sequence[int], group: str = "m") -> Any:
    calls = [batcher.submit(group, item) for item in items]
    return await asyncio.gather(*calls, return_exceptions=True)


def test_every_item_gets_its_own_result():
    network = Network()

    answers = run(network, lambda batcher: submit_all(batcher, range(10)))

    assert [answer.result for answer in answers] == [2 * item for item in range(10)]


def test_a_full_batch_does_not_wait_for_the_delay():
    network = Network()

    answers = run(
        network, lambda batcher: submit_all(batcher, range(4)), max_batch=4, max_delay_ms=60_000
    )

    assert network.batches == [("m", [0, 1, 2, 3])]
    assert len(answers) == 4


def test_a_lonely_item_is_predicted_after_the_delay():
    network = Network()

    answers = run(network, lambda batcher: submit_all(batcher, [7]), max_delay_ms=30)

    assert answers[0].result == 14
    assert answers[0].queue_s >= 0.029


def test_items_that_waited_for_the_network_share_the_next_batch():
    network = Network(seconds=0.05)

    async def trickle(batcher: Batcher[int, int]) -> None:
        first = asyncio.create_task(batcher.submit("m", 0))
        await asyncio.sleep(0.02)
        await asyncio.gather(first, *(batcher.submit("m", item) for item in (1, 2, 3)))

    run(network, trickle, max_delay_ms=0)

    assert network.batches == [("m", [0]), ("m", [1, 2, 3])]


def test_a_batch_never_exceeds_its_size():
    network = Network()

    run(network, lambda batcher: submit_all(batcher, range(11)), max_batch=4)

    assert [len(items) for _, items in network.batches] == [4, 4, 3]


def test_a_batch_holds_items_of_one_model_only():
    network = Network()

    async def mixed(batcher: Batcher[int, int]) -> None:
        await asyncio.gather(
            submit_all(batcher, [1, 2], "a"), submit_all(batcher, [3], "b"), return_exceptions=True
        )

    run(network, mixed)

    assert network.batches == [("a", [1, 2]), ("b", [3])]


def test_only_the_item_that_cannot_be_predicted_fails():
    network = Network(disliked=[2])

    answers = run(network, lambda batcher: submit_all(batcher, range(4)))

    assert isinstance(answers[2], ValueError)
    assert [answers[i].result for i in (0, 1, 3)] == [0, 2, 6]


def test_the_batcher_goes_on_after_a_failure():
    network = Network(disliked=[0])

    async def two_rounds(batcher: Batcher[int, int]) -> Any:
        await submit_all(batcher, [0])
        return await submit_all(batcher, [1])

    answers = run(network, two_rounds)

    assert answers[0].result == 2


def test_more_than_may_wait_are_refused_with_a_time_to_come_again():
    network = Network(seconds=0.05)

    answers = run(network, lambda batcher: submit_all(batcher, range(6)), max_waiting=5)

    assert [type(answer) for answer in answers].count(Unavailable) == 1
    assert answers[5].code == "queue-full"
    assert int(answers[5].headers["Retry-After"]) >= 1


def test_a_cancelled_item_is_not_predicted():
    network = Network()

    async def withdraw(batcher: Batcher[int, int]) -> None:
        calls = [asyncio.create_task(batcher.submit("m", item)) for item in (1, 2)]
        await asyncio.sleep(0)
        calls[0].cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    run(network, withdraw)

    assert network.batches == [("m", [2])]


def test_cancelling_the_only_item_leaves_a_working_batcher():
    network = Network()

    async def withdraw(batcher: Batcher[int, int]) -> Any:
        call = asyncio.create_task(batcher.submit("m", 1))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        return await batcher.submit("m", 2)

    answer = run(network, withdraw)

    assert answer.result == 4


@pytest.mark.parametrize("delay_ms", [0.0, 60_000.0], ids=["in the network", "in the queue"])
def test_stopping_answers_those_who_wait(delay_ms: float):
    network = Network(seconds=60)

    async def stop_early(batcher: Batcher[int, int]) -> Any:
        call = asyncio.create_task(batcher.submit("m", 1))
        await asyncio.sleep(0.02)
        await batcher.stop()
        return await asyncio.gather(call, return_exceptions=True)

    answers = run(network, stop_early, max_delay_ms=delay_ms)

    assert isinstance(answers[0], Unavailable)
