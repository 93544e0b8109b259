"""Logs: JSON, allow-listed keys, no messages of foreign errors."""

import json
import logging

import pytest
import structlog

from service.logs import configure_logging


@pytest.fixture
def lines_of(capfd):
    """Configure logging, do something, return the lines it logged."""

    def run(action):
        structlog.reset_defaults()
        configure_logging("INFO")
        action()
        return [json.loads(line) for line in capfd.readouterr().err.splitlines()]

    yield run
    structlog.reset_defaults()


def logger():
    return structlog.stdlib.get_logger("x")


def test_event_is_one_json_line(lines_of):
    (line,) = lines_of(lambda: logger().info("job.claimed", job_id="job_1"))

    assert (line["event"], line["job_id"], line["level"]) == ("job.claimed", "job_1", "info")


def test_unknown_keys_are_dropped_and_counted(lines_of):
    (line,) = lines_of(lambda: logger().info("file.stored", file_name="Doe_John.dcm"))

    assert "Doe" not in str(line)
    assert line["dropped"] == 1


def test_error_is_its_class_and_place_but_not_its_message(lines_of):
    def fail():
        try:
            int("Doe, John")
        except ValueError:
            logger().exception("request.failed")

    (line,) = lines_of(fail)

    assert line["error"] == "ValueError"
    assert line["where"][0].startswith("test_logs.py:")
    assert "Doe" not in str(line)


def test_records_of_the_standard_library_become_json_lines(lines_of):
    (line,) = lines_of(lambda: logging.getLogger("celery").warning("hello %s", "there"))

    assert (line["event"], line["logger"]) == ("hello there", "celery")
