"""What plugins log by the standard library are lines of their process's log."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tierce import Event, Severity
from tierce.process.loggers import CODE, EventHandler, log_as, log_no_more, plugin_logger


@pytest.fixture
def lines() -> Iterator[list[Event]]:
    found: list[Event] = []
    handler = log_as("volume/demo", found.append)
    yield found
    log_no_more(handler)
    before = len(found)
    logging.getLogger("tierce.engine.demo").error("nobody hears of this")
    assert len(found) == before


def test_what_any_part_logs_is_a_line_that_names_it_and_the_volume(lines: list[Event]) -> None:
    logging.getLogger("tierce.engine.demo").info("opened %d files", 3)
    logging.getLogger("tierce.engine.demo").debug("and this is for nobody")
    logging.getLogger("a_library").info("nor what libraries chat")
    logging.getLogger("a_library").warning("but they may warn")
    assert [(one.code, one.subject, one.message, one.severity) for one in lines] == [
        (CODE, "volume/demo", "opened 3 files", Severity.INFO),
        (CODE, "volume/demo", "but they may warn", Severity.WARNING),
    ]
    assert lines[0].fields == {"logger": "tierce.engine.demo"}


def test_a_traceback_is_in_the_line(lines: list[Event]) -> None:
    try:
        dict[str, str]()["no page"]
    except KeyError:
        logging.getLogger("tierce.filter.demo").exception("lost")
    assert lines[0].severity is Severity.ERROR
    assert "KeyError: 'no page'" in lines[0].fields["traceback"]


def test_a_line_whose_arguments_do_not_fit_costs_its_plugin_nothing(
    lines: list[Event], capsys: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger("tierce.engine.demo").propagate = True
    handler = EventHandler("volume/demo", lines.append)
    handler.handle(logging.LogRecord("x", logging.INFO, "f", 1, "%d pages", ("many",), None))
    assert lines == []
    assert "%d pages" in capsys.readouterr().err


def test_a_line_about_one_io_says_which_by_what_its_author_adds(lines: list[Event]) -> None:
    ids = {"trace_id": "ab" * 16, "span_id": "cd" * 8}
    logging.getLogger("tierce.engine.demo").warning("slow", extra=ids)
    own: list[Event] = []
    plugin_logger("service.diary", "service/diary", own.append).warning("slow", extra=ids)
    for one in (*lines, *own):
        assert one.fields == {"logger": one.fields["logger"], **ids}
    assert len(lines) == len(own) == 1


def test_a_services_lines_are_written_once(lines: list[Event]) -> None:
    own: list[Event] = []
    plugin_logger("service.diary", "service/diary", own.append).info("here")
    assert [one.subject for one in own] == ["service/diary"]
    assert lines == []
