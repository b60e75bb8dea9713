"""One thread sends; who hands something to it never waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import MetricsData

from exporters.otlp.made import FakeSender, record, records
from serving.processes import WAIT_S
from tierce_exporters.otlp.destination import Signal
from tierce_exporters.otlp.pushing import PAUSE_S_MAX, Pusher
from tierce_exporters.otlp.resources import Resources
from tierce_exporters.otlp.spans import to_spans
from tierce_exporters.otlp.verdict import Verdict
from tierce_exporters.otlp.waiting import BATCH_COUNT_MAX, RECORD_COUNT_MAX, News

ARRIVED, FAILED, REFUSED = Verdict.ARRIVED, Verdict.FAILED, Verdict.REFUSED
SPANS_EACH = 5


class Scene:
    """A pusher whose time the test makes."""

    def __init__(self, *verdicts: Verdict) -> None:
        self.sender = FakeSender(list(verdicts) or [ARRIVED])
        self.told: list[tuple[Signal, bool]] = []
        self.news: list[News] = []
        self.now_s = 100.0
        self.pusher = Pusher(
            self.sender,
            partial(to_spans, resources=Resources("service.otlp")),
            lambda signal, is_well: self.told.append((signal, is_well)),
            self.news.append,
            clock=lambda: self.now_s,
        )

    def pauses(self, count: int) -> list[float]:
        """How long it waits after each of so many sendings."""
        found = []
        for _ in range(count):
            assert self.pusher.push()
            pause_s = self.pusher.wait_s() or 0.0
            self.now_s += pause_s
            found.append(pause_s)
        return found


def metrics(number: int) -> Callable[[], Any]:
    # Told apart, not looked into.
    told_apart: list[Any] = [number]
    return lambda: MetricsData(told_apart)


def numbers(scene: Scene) -> list[Any]:
    return [one.resource_metrics[0] for one in scene.sender.metrics]


def test_records_are_sent_as_spans_in_requests_of_a_bounded_size() -> None:
    scene = Scene()
    scene.pusher.add(records(BATCH_COUNT_MAX + 1))
    assert scene.pusher.push()
    assert len(scene.sender.spans) == SPANS_EACH * BATCH_COUNT_MAX
    assert scene.pusher.push()
    assert not scene.pusher.push()
    assert (scene.pusher.sent, len(scene.pusher), scene.told) == (BATCH_COUNT_MAX + 1, 0, [])


def test_what_failed_is_sent_again_after_pauses_that_grow_up_to_a_bound() -> None:
    scene = Scene(FAILED)
    scene.pusher.add([record()])
    assert scene.pauses(7) == [1, 2, 4, 8, 16, PAUSE_S_MAX, PAUSE_S_MAX]
    assert (len(scene.pusher), scene.told) == (1, [(Signal.TRACES, False)])


def test_a_collector_that_is_back_gets_everything_and_it_is_told_once() -> None:
    scene = Scene(FAILED, FAILED, ARRIVED)
    scene.pusher.add(records(3))
    scene.pauses(2)
    assert scene.pusher.push()
    assert len(scene.sender.spans) == 3 * SPANS_EACH
    assert scene.told == [(Signal.TRACES, False), (Signal.TRACES, True)]
    assert scene.news == []


def test_metrics_that_are_not_wanted_do_not_keep_traces_waiting() -> None:
    scene = Scene(REFUSED, ARRIVED)
    scene.pusher.show(metrics(1))
    scene.pusher.add([record()])
    assert scene.pusher.push()
    assert scene.pusher.push()
    assert len(scene.sender.spans) == SPANS_EACH
    assert scene.told == [(Signal.METRICS, False)]


def test_of_metrics_only_the_newest_waits() -> None:
    scene = Scene(FAILED, ARRIVED)
    scene.pusher.show(metrics(1))
    assert scene.pusher.push()
    scene.pusher.show(metrics(2))
    scene.now_s += PAUSE_S_MAX
    assert scene.pusher.push()
    assert numbers(scene) == [2]
    assert not scene.pusher.push()


def test_metrics_that_failed_are_sent_again_if_none_are_newer() -> None:
    scene = Scene(FAILED, ARRIVED)
    scene.pusher.show(metrics(1))
    scene.pauses(1)
    assert scene.pusher.push()
    assert numbers(scene) == [1]


def test_while_nobody_takes_anything_memory_is_bounded_and_that_is_told_once() -> None:
    scene = Scene(*[FAILED] * 3, ARRIVED)
    for first in range(0, 4 * RECORD_COUNT_MAX, RECORD_COUNT_MAX // 2):
        scene.pusher.add(records(RECORD_COUNT_MAX // 2, first=first))
    assert (len(scene.pusher), scene.pusher.dropped) == (RECORD_COUNT_MAX, 3 * RECORD_COUNT_MAX)
    assert [one.is_over for one in scene.news] == [False]
    scene.pauses(3)
    while scene.pusher.push():
        pass
    assert [(one.is_over, one.in_all) for one in scene.news[1:]] == [(True, 3 * RECORD_COUNT_MAX)]
    assert scene.pusher.sent == RECORD_COUNT_MAX


def test_what_is_refused_is_left_out_and_what_comes_after_is_sent() -> None:
    scene = Scene(REFUSED, ARRIVED)
    scene.pusher.add([record()])
    assert scene.pauses(1) == [0]
    scene.now_s += 1
    scene.pusher.add([record(1)])
    assert scene.pusher.push()
    assert (scene.pusher.sent, scene.pusher.dropped) == (1, 1)
    assert [one.is_over for one in scene.news] == [False, True]


@pytest.mark.parametrize(("verdict", "sent"), [(ARRIVED, 3), (FAILED, 0)])
def test_in_the_end_what_goes_well_is_sent_and_what_fails_is_left(
    verdict: Verdict, sent: int
) -> None:
    scene = Scene(verdict)
    scene.pusher.add(records(3))
    scene.pusher.finish()
    thread = threading.Thread(target=scene.pusher.run, daemon=True)
    thread.start()
    thread.join(WAIT_S)
    assert not thread.is_alive()
    assert (scene.pusher.sent, scene.sender.tries) == (sent, 1)


def test_a_thread_that_waits_for_something_is_woken_by_it_and_by_the_end() -> None:
    scene = Scene()
    thread = threading.Thread(target=scene.pusher.run, daemon=True)
    thread.start()
    scene.pusher.add(records(1))
    scene.pusher.show(metrics(1))
    scene.pusher.finish()
    thread.join(WAIT_S)
    assert not thread.is_alive()
    assert scene.sender.tries == 2
