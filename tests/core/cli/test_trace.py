"""What `tierce volume trace` asks of the volume, and what it shows of what that writes down."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from core.volume.test_trace_ring import io
from tierce import Code, Op
from tierce.cli.trace import OPERATIONS, Showing, _EnoughError
from tierce.process.paths import Paths
from tierce.tracing import TracedIo
from tierce.volume import following
from tierce.volume.trace_ring import SLOT_COUNT, TraceRing

OK: dict[str, Any] = {"ok": {}}
BEGUN: dict[str, Any] = {"row": {"fraction": 0.0, "text": ""}}

Tierce = Callable[..., Any]
Scripted = Callable[..., Any]


def sampled(offset: int, **more: Any) -> TracedIo:
    return attrs.evolve(
        io(offset, ("device", "", 64, 640, 0)), is_sampled=True, is_slow=False, **more
    )


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[TraceRing]:
    """The ring of volume demo, as its target has it open."""
    paths = Paths(tmp_path)
    paths.make()
    made = TraceRing.create(paths.traces("demo"))
    yield made
    made.close()


def shown(
    folder: Path, capsys: pytest.CaptureFixture[str], **wanted: Any
) -> Callable[[], list[int]]:
    """Begin to show; each call returns the first bytes of what has come."""
    showing = Showing(folder, "demo", {"for_s": 1.0, **wanted}, "json", None)

    def go_on() -> list[int]:
        showing.go_on()
        offsets = []
        for line in capsys.readouterr().out.splitlines():
            whole = json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
            values = {one["key"]: one["value"] for one in whole["attributes"]}
            offsets.append(int(values["tierce.io.offset"]["intValue"]))
        return offsets

    return go_on


def test_what_is_asked_for_goes_to_the_tracer_of_the_volume(
    tierce: Tierce, scripted: Scripted
) -> None:
    server = scripted([BEGUN, OK], [BEGUN, OK])
    done = tierce(
        *("volume", "trace", "demo", "--every", "1", "--slow-ms", "5", "--operation", "write"),
        *("--initiator", "iqn.a", "--range", "4 KiB-1MiB", "--for", "500 ms"),
    )
    assert done.code == 0
    assert "volume demo is followed for 0.5 s; Ctrl-C ends it" in done.err
    assert "0 I/Os of volume demo shown in " in done.err
    assert "fewer than one in --every" in done.err
    tierce("volume", "trace", "demo")
    first, second = server.asked
    assert (first["do"], first["part"], first["action"]) == ("act", "tracer", "follow")
    assert first["arguments"] == {
        "every": 1,
        "slow_ms": 5.0,
        "operation": "write",
        "initiator": "iqn.a",
        "first": 4096,
        "end": 1 << 20,
        "for_s": 0.5,
    }
    assert second["arguments"] == {"every": 100, "for_s": 10.0}
    for asked in server.asked:
        following.FollowArguments(**asked["arguments"])


def test_what_comes_from_now_on_is_shown_and_nothing_twice(
    ring: TraceRing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ring.write(sampled(1))
    come = shown(tmp_path, capsys)
    assert come() == []
    ring.write(sampled(2))
    ring.write(sampled(3))
    assert come() == [2, 3]
    assert come() == []


def test_what_others_have_asked_for_is_not_shown(
    ring: TraceRing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    in_range = shown(tmp_path, capsys, operation="write", first=8192, end=12288)
    for one in (
        *(sampled(4096), sampled(4097), sampled(12287), sampled(12288)),
        sampled(8192, op=Op.READ),
    ):
        ring.write(one)
    assert in_range() == [4097, 12287]
    slow = io(9000)
    cases: dict[int, dict[str, Any]] = {
        9000: {},
        0: {"initiator": "iqn.a"},
        -1: {"slow_ms": 0},
        -2: {"slow_ms": 400.0},
    }
    for offset, wanted in cases.items():
        come = shown(tmp_path, capsys, **wanted)
        ring.write(slow)
        assert come() == ([offset] if offset > 0 else [])


def test_so_many_are_shown_and_what_is_missing_is_told(
    ring: TraceRing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    showing = Showing(tmp_path, "demo", {"for_s": 60.0}, "text", 2)
    for number in range(SLOT_COUNT + 5):
        ring.write(sampled(number, code=Code.GOOD))
    ring.leave_out(7)
    with pytest.raises(_EnoughError):
        showing.go_on()
    showing.tell_end()
    out, err = capsys.readouterr()
    assert out.count("WRITE of 4096 bytes at ") == 2
    assert "  device" in out
    assert "2 I/Os of volume demo shown in" in err
    assert "7 more were not written down: 20 a second are, and 100 slow ones" in err
    assert "5 came too fast to be read" in err


def test_a_ring_that_was_made_anew_is_read_from_its_beginning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = Paths(tmp_path)
    paths.make()
    for offset in (1, 2):
        old = TraceRing.create(paths.traces("demo"))
        old.write(sampled(offset))
        old.close()
    come = shown(tmp_path, capsys)
    paths.traces("demo").unlink()
    assert come() == []
    new = TraceRing.create(paths.traces("demo"))
    new.write(sampled(3))
    assert come() == [3]
    new.close()


def test_ctrl_c_ends_it_with_what_was_shown(
    tierce: Tierce, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_showing: Showing) -> None:
        raise KeyboardInterrupt

    scripted([BEGUN])
    monkeypatch.setattr(Showing, "go_on", interrupt)
    done = tierce("volume", "trace", "demo")
    assert done.code == 130
    assert "0 I/Os of volume demo shown in" in done.err
    assert "error" not in done.err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--range", "5-5"), "no byte is in it"),
        (("--range", "5"), "expected FROM-TO"),
        (("--range", "1-x"), "expected a size"),
        (("--operation", "swim"), "is not one of"),
        (("--count", "0"), "is not in the range"),
    ],
)
def test_what_can_not_be_is_refused_before_anybody_is_asked(
    tierce: Tierce, words: tuple[str, ...], why: str
) -> None:
    done = tierce("volume", "trace", "demo", *words)
    assert done.code == 2
    assert why in done.err


def test_the_operations_are_those_that_the_volume_knows() -> None:
    assert OPERATIONS == following.OPERATIONS
