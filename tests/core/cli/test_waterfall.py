"""An I/O as text: its stages below each other, each at its time."""

from __future__ import annotations

import attrs

from core.cli.traced_write import PAGE, WIDTH, renewed, traced_write
from core.test_spans import record, stage
from tierce import TraceRecord
from tierce.cli.waterfall import BAR_WIDTH_MIN, draw


def one_write() -> TraceRecord:
    return record(
        100,
        stage("frontend.parse", 0, 4),
        stage("jiva.replica", 10, 30, "r1"),
        stage("jiva.replica", 10, 80, "r2"),
        stage("device", 5, 90),
    )


def test_stages_are_drawn_below_each_other_at_their_time() -> None:
    assert draw(one_write(), 76) == [
        "2001-09-09T01:46:40.000Z sampled: WRITE of 512 bytes at 4096 (one of 3 that were "
        f"answered together), trace {'ab' * 16}",
        "stage                  start      took      own",
        "volume.write          0.0 us  100.0 us   6.0 us  ===========================",
        "  frontend.parse      0.0 us    4.0 us   4.0 us  ==",
        "  device              5.0 us   90.0 us  10.0 us   =========================",
        "    jiva.replica/r1  10.0 us   30.0 us   0.0 us    =========",
        "    jiva.replica/r2  10.0 us   80.0 us  80.0 us    =======================",
        "80% of its time was spent in jiva.replica/r2: 80.0 us",
    ]


def test_bars_fill_the_terminal_and_are_there_in_the_narrowest() -> None:
    for width in (64, 80, 200):
        assert max(map(len, draw(one_write(), width)[1:-1])) == width
    narrow = draw(one_write(), 10)
    assert narrow[2].endswith("  " + "=" * BAR_WIDTH_MIN)


def test_a_failed_one_says_how_and_one_without_stages_is_drawn_too() -> None:
    bare = attrs.evolve(record(2_000_000, code="write error"), batch=1, is_slow=True)
    first, _, *rest = draw(bare, 60)
    assert "sampled and slow: WRITE of 512 bytes at 4096 failed: write error, trace" in first
    assert rest[-1] == "100% of its time was spent between its stages: 2.000 s"
    draw(attrs.evolve(bare, elapsed_ns=0), 60)


def test_the_drawing_in_the_documentation_is_made_of_a_write_that_happened() -> None:
    """If this fails: PYTHONPATH=tests python -m core.cli.traced_write"""
    page = PAGE.read_text(encoding="utf-8")
    assert page == renewed(page)
    lines = draw(traced_write(), WIDTH)
    assert all(line in page for line in lines)
    assert lines[-1] == "100% of its time was spent in jiva.replica/replica-2: 105.95 ms"
