"""The shared page: what is written is what a reader in another mapping sees."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierce import FormatError, Op
from tierce.volume.statistics import (
    PUBLISHED_BYTES,
    STAGE_COUNT_MAX,
    StatisticsPage,
    quantile,
)


def test_a_reader_sees_what_was_counted(tmp_path: Path) -> None:
    writer = StatisticsPage.create(tmp_path / "page")
    reader = StatisticsPage.open(tmp_path / "page")
    writer.stage("device").add(Op.READ, 8, 32768, 1000)
    writer.stage("device").fail(Op.READ)
    writer.publish("engine", {"replicas": ["a"]})
    writer.publish("front", {"sessions": 1})
    writer.publish("front", {"sessions": 2})
    seen = reader.snapshot()
    assert seen["published"] == {"engine": {"replicas": ["a"]}, "front": {"sessions": 2}}
    read = seen["stages"]["device"]["read"]
    assert (read["count"], read["bytes"], read["failed"]) == (8, 32768, 1)
    assert read["total_ns"] == 8000
    assert read["p50_ns"] == read["p99_ns"] == 1023
    reader.close()
    writer.close()


def test_a_page_made_anew_starts_at_zero_and_later(tmp_path: Path) -> None:
    first = StatisticsPage.create(tmp_path / "page")
    first.stage("device").add(Op.WRITE, 1, 1, 1)
    start_ns = first.snapshot()["start_ns"]
    first.close()
    second = StatisticsPage.create(tmp_path / "page")
    fresh = second.snapshot()
    assert fresh.pop("start_ns") > start_ns > 0
    assert fresh == {"stages": {}, "published": {}}
    second.close()


@pytest.mark.parametrize("contents", [b"", b"x" * 100, None])
def test_what_is_no_page_is_refused(tmp_path: Path, contents: bytes | None) -> None:
    if contents is None:
        page = StatisticsPage.create(tmp_path / "page")
        page.close()
        data = bytearray((tmp_path / "page").read_bytes())
        data[7] = ord("9")
        contents = bytes(data)
    (tmp_path / "page").write_bytes(contents)
    with pytest.raises(FormatError, match="no statistics page"):
        StatisticsPage.open(tmp_path / "page")


def test_a_missing_page_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="can't be read"):
        StatisticsPage.open(tmp_path / "page")


def test_too_many_stages_are_refused(tmp_path: Path) -> None:
    page = StatisticsPage.create(tmp_path / "page")
    for number in range(STAGE_COUNT_MAX):
        page.stage(f"stage-{number}")
    assert page.stage("stage-0") is page.stage("stage-0")
    with pytest.raises(ValueError, match="no room"):
        page.stage("one more")
    page.close()


@given(elapsed=st.lists(st.integers(0, 1 << 45), min_size=1, max_size=50))
def test_a_quantile_bounds_what_was_measured(elapsed: list[int]) -> None:
    buckets = [0] * 40
    for each in elapsed:
        buckets[min(each.bit_length(), 39)] += 1
    median = sorted(elapsed)[(len(elapsed) - 1) // 2]
    assert quantile(buckets, 0.5) >= min(median, (1 << 39) - 1)


def test_an_empty_histogram_has_no_quantile() -> None:
    assert quantile([0] * 40, 0.99) == 0


def test_a_list_that_does_not_fit_is_cut_and_counted(tmp_path: Path) -> None:
    page = StatisticsPage.create(tmp_path / "page")
    sessions = [{"initiator": "iqn.x:" + "y" * 80, "tsih": number} for number in range(2000)]
    page.publish("engine", {"replicas": ["a", "b"]})
    page.publish("front", {"sessions": sessions})
    shown = page.snapshot()["published"]["front"]
    assert page.snapshot()["published"]["engine"] == {"replicas": ["a", "b"]}
    assert shown["sessions"] == sessions[: len(shown["sessions"])]
    assert len(shown["sessions"]) + shown["sessions_left_out"] == 2000
    assert len(shown["sessions"]) > 500, "no more is left out than has to be"
    page.publish("front", {"sessions": sessions[:3]})
    assert page.snapshot()["published"]["front"] == {"sessions": sessions[:3]}
    page.close()


def test_what_does_not_fit_and_is_no_list_is_left_out_beside_the_rest(tmp_path: Path) -> None:
    page = StatisticsPage.create(tmp_path / "page")
    page.publish("front", {"sessions": [1], "long": "x" * PUBLISHED_BYTES})
    assert page.snapshot()["published"] == {"front": {"sessions": [1], "long_left_out": 1}}
    page.close()


def test_publishing_after_the_end_shows_nothing_and_harms_nobody(tmp_path: Path) -> None:
    page = StatisticsPage.create(tmp_path / "page")
    page.publish("front", {"sessions": [1]})
    page.close()
    page.publish("front", {"sessions": []})
    page.close()


def test_a_reader_in_another_process_never_sees_torn_json(tmp_path: Path) -> None:
    """The writer publishes one letter, long and short in turn, as fast as it can."""
    StatisticsPage.create(tmp_path / "page").close()
    child = os.fork()
    if child == 0:
        page = StatisticsPage.create(tmp_path / "page")
        for number in range(2000):
            letter = "abcdefghij"[number % 10]
            page.publish("front", {"letters": letter * (10 if number % 3 else 60_000)})
        os._exit(0)
    ended = 0
    while not ended:
        ended, status = os.waitpid(child, os.WNOHANG)
        page = StatisticsPage.open(tmp_path / "page")
        for _ in range(20):
            letters = page.snapshot()["published"].get("front", {}).get("letters", "")
            assert len(set(letters)) <= 1
        page.close()
    assert status == 0


def test_a_page_that_was_left_half_published_still_shows_its_counters(tmp_path: Path) -> None:
    """As a process killed within `publish` leaves it."""
    page = StatisticsPage.create(tmp_path / "page")
    page.stage("device").add(Op.READ, 1, 512, 100)
    page.publish("front", {"sessions": 1})
    page._sequence[0] += 1
    seen = page.snapshot()
    assert seen["published"] == {}
    assert seen["stages"]["device"]["read"]["count"] == 1
    page.close()
