"""An answer that is to come is given once, and in time."""

from __future__ import annotations

from typing import Any, cast

import pytest

from core.fake_reactor import FakeReactor
from tierce import ConfigError, ConflictError
from tierce.process.client import ANSWER_TIMEOUT_S
from tierce.server.promises import Promise, Promises, refusal


class Asker:
    """Notes what it is sent."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []

    def send(self, message: dict[str, Any]) -> None:
        self.heard.append(message)


@pytest.fixture
def asker() -> Asker:
    return Asker()


def promise(asker: Asker, reactor: FakeReactor, number: int = 7) -> Promise:
    return Promise(cast("Any", reactor), cast("Any", asker), number, lambda: "it waits for a disk")


def test_it_is_kept_once_with_rows_before_the_answer(asker: Asker, reactor: FakeReactor) -> None:
    made = promise(asker, reactor)
    made.keep({"row": 1}, {"ok": {}})
    made.keep({"ok": {}})
    made.refuse(ConflictError("late"))
    reactor.advance(ANSWER_TIMEOUT_S)
    assert asker.heard == [{"id": 7, "row": 1}, {"id": 7, "ok": {}}]


def test_who_waits_too_long_hears_what_it_waits_for(asker: Asker, reactor: FakeReactor) -> None:
    made = promise(asker, reactor)
    reactor.advance(ANSWER_TIMEOUT_S)
    made.keep({"ok": {}})
    assert asker.heard == [{"id": 7, "error": "it waits for a disk", "exit_code": 6}]


def test_what_is_raised_where_it_is_to_be_kept_is_the_answer(
    asker: Asker, reactor: FakeReactor
) -> None:
    with promise(asker, reactor).refusing():
        raise ConflictError("another has it")
    assert asker.heard == [{"id": 7, "error": "another has it", "exit_code": 7}]


def test_all_who_wait_for_a_volume_are_answered_and_nobody_else(
    asker: Asker, reactor: FakeReactor
) -> None:
    promises = Promises()
    over = promise(asker, reactor, 1)
    over.keep({"ok": {}})
    promises.add("demo", over)
    assert not promises.has("demo")
    promises.add("demo", promise(asker, reactor, 2))
    promises.add("other", promise(asker, reactor, 3))
    promises.add("demo", promise(asker, reactor, 4))
    assert promises.has("demo")
    promises.keep("demo", {"ok": {}})
    promises.keep("demo", {"ok": {}})
    assert [one["id"] for one in asker.heard] == [1, 2, 4]
    assert not promises.has("demo")


def test_a_refusal_ends_a_command_as_its_error_would() -> None:
    assert refusal(ConflictError("no")) == {"error": "no", "exit_code": 7}
    # What was typed is wrong, and no config file.
    assert refusal(ConfigError("no", file="typed"))["exit_code"] == 2
    bug = refusal(KeyError("table"))
    assert bug == {"error": "it failed: KeyError: 'table'", "exit_code": 1}
