"""The queue on a real Redis."""

import time

import redis

from service.queue import RUN_JOB_TASK, TRAIN_QUEUE, Queue
from tests.servers import redis_server


def test_published_message_carries_the_job_id_and_nothing_else():
    with redis_server() as url:
        queue = Queue(url)

        is_sent = queue.publish("job_1")

        client = redis.Redis(unix_socket_path=url.removeprefix("redis+socket://"))
        message = client.lindex(TRAIN_QUEUE, 0).decode()
        client.close()
        queue.close()
    assert is_sent
    assert RUN_JOB_TASK in message
    assert "pickle" not in message


def test_live_broker_is_up(redis_url):
    queue = Queue(redis_url)

    assert queue.is_up()

    queue.close()


def test_wake_ups_that_no_worker_took_are_counted():
    with redis_server() as url:
        queue = Queue(url)
        before = queue.num_waiting()
        for _ in range(2):
            queue.publish("job_1")

        assert (before, queue.num_waiting()) == (0, 2)

        queue.close()


def test_dead_broker_is_told_fast_instead_of_raised():
    queue = Queue("redis://127.0.0.1:1/0")
    started = time.monotonic()

    answers = (queue.publish("job_1"), queue.is_up())

    assert answers == (False, False)
    assert time.monotonic() - started < 30
    queue.close()
