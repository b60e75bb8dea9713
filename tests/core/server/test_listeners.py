"""Listeners, each on a thread of its own: none of them holds the loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tierce import Event, hookimpl
from tierce.registry import Registry
from tierce.server.listeners import TOLD_PERIOD_S, WAITING_COUNT_MAX, Listeners

EVENT = Event("a.b", "it was", "x")
PATIENCE_S = 30


class Scene:
    """Listeners on a loop whose time stands still."""

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.told: list[Event] = []
        self.listeners = Listeners(reactor, self.told.append)

    def use(self, **plugins: Callable[[Event], None]) -> Registry:
        registry = Registry.build(
            [
                (name, SimpleNamespace(tierce_event=hookimpl(hear)), "")
                for name, hear in plugins.items()
            ]
        )
        assert all(one.state == "enabled" for one in registry.plugins)
        self.listeners.use(registry)
        return registry

    def told_of(self, plugin: str) -> list[Event]:
        return [event for event in self.told if event.subject == f"plugin/{plugin}"]

    def wait_for_news(self) -> None:
        """Let the loop turn until something was told."""
        for _round in range(10_000):
            self.reactor.turn()
            if self.told:
                return
            threading.Event().wait(0.001)
        raise AssertionError("nothing was told")


@pytest.fixture
def scene(reactor: Any) -> Iterator[Scene]:
    made = Scene(reactor)
    yield made
    made.listeners.close()


def hearer(heard: list[str], count: int = 1) -> tuple[Callable[[Event], None], threading.Event]:
    """A listener that notes the codes, and what is set once it has heard so many."""
    has_heard = threading.Event()

    def hear(event: Event) -> None:
        heard.append(event.code)
        if len(heard) == count:
            has_heard.set()

    return hear, has_heard


def test_a_listener_hears_every_event_in_order(scene: Scene) -> None:
    heard: list[str] = []
    hear, has_heard = hearer(heard, 3)
    scene.use(one=hear)
    for code in "abc":
        scene.listeners.hear(Event(code, code, "x"))
    assert has_heard.wait(PATIENCE_S)
    assert heard == ["a", "b", "c"]


def test_one_that_hangs_holds_neither_the_loop_nor_the_others_and_what_it_misses_is_told(
    scene: Scene,
) -> None:
    go_on, hangs = threading.Event(), threading.Event()

    def hang(event: Event) -> None:
        hangs.set()
        go_on.wait(PATIENCE_S)

    heard: list[str] = []
    hear, has_heard = hearer(heard)
    scene.use(stuck=hang, good=hear)
    scene.listeners.hear(EVENT)
    assert hangs.wait(PATIENCE_S)
    assert has_heard.wait(PATIENCE_S)
    for _index in range(WAITING_COUNT_MAX):
        scene.listeners.hear(EVENT)
    assert scene.told_of("stuck") == []
    scene.listeners.hear(EVENT)
    (told,) = scene.told_of("stuck")
    assert told.code == "plugin.listener-behind"
    assert "plugin stuck: its event listener is slow or hangs, and 1 event was not" in told.message
    for _index in range(5):
        scene.listeners.hear(EVENT)
    assert len(scene.told_of("stuck")) == 1
    scene.reactor.advance(TOLD_PERIOD_S)
    scene.listeners.hear(EVENT)
    assert "6 events were not given to it" in scene.told_of("stuck")[1].message
    go_on.set()


def test_one_that_hangs_costs_one_thread_however_often_the_file_is_read_again(
    scene: Scene,
) -> None:
    go_on, hangs = threading.Event(), threading.Event()

    def hang(event: Event) -> None:
        hangs.set()
        go_on.wait(PATIENCE_S)

    before = threading.active_count()
    for _reload in range(3):
        scene.use(stuck=hang)
        scene.listeners.hear(EVENT)
        assert hangs.wait(PATIENCE_S)
    assert threading.active_count() == before + 1
    go_on.set()


def test_one_that_failed_is_tried_again_after_a_reload(scene: Scene) -> None:
    def fail(event: Event) -> None:
        raise RuntimeError("no room")

    heard: list[str] = []
    hear, has_heard = hearer(heard)
    scene.use(bad=fail)
    scene.listeners.hear(EVENT)
    scene.wait_for_news()
    scene.use(bad=hear)
    scene.listeners.hear(EVENT)
    assert has_heard.wait(PATIENCE_S)


def test_one_that_failed_just_before_a_reload_is_called_again_after_it(scene: Scene) -> None:
    failed = threading.Event()

    def fail(event: Event) -> None:
        failed.set()
        raise RuntimeError("no room")

    before = threading.active_count()
    scene.use(bad=fail)
    scene.listeners.hear(EVENT)
    assert failed.wait(PATIENCE_S)
    while threading.active_count() > before:
        threading.Event().wait(0.001)
    heard: list[str] = []
    hear, has_heard = hearer(heard)
    # The loop has not heard of the failure yet.
    scene.use(bad=hear)
    scene.reactor.turn()
    scene.listeners.hear(EVENT)
    assert has_heard.wait(PATIENCE_S)


@pytest.mark.parametrize("error", [RuntimeError("no room"), SystemExit(3)])
def test_one_that_raises_is_told_of_by_name_and_not_called_again(
    scene: Scene, error: BaseException
) -> None:
    calls: list[Event] = []

    def fail(event: Event) -> None:
        calls.append(event)
        raise error

    registry = scene.use(bad=fail)
    scene.listeners.hear(EVENT)
    scene.wait_for_news()
    (told,) = scene.told
    assert (told.code, told.subject) == ("plugin.listener-failed", "plugin/bad")
    assert "plugin 'bad': its event listener failed and is no longer called" in told.message
    assert "in fail" in told.fields["traceback"]
    assert registry.plugins[0].reason.startswith("its event listener failed")
    scene.listeners.hear(EVENT)
    scene.listeners.close()
    assert calls == [EVENT]


def test_what_waits_is_heard_before_the_end(scene: Scene) -> None:
    heard: list[str] = []
    scene.use(one=lambda event: heard.append(event.code))
    for code in "abc":
        scene.listeners.hear(Event(code, code, "x"))
    scene.listeners.close()
    assert heard == ["a", "b", "c"]
