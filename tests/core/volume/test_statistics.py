"""The shared page: what is written is what a reader in another mapping sees."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from core.fake_reactor import FakeReactor
from tierce import Code, FormatError, Op
from tierce.volume.statistics import (
    LATE_S,
    PAGE_BYTES,
    PUBLISHED_BYTES,
    STAGE_COUNT_MAX,
    StatisticsPage,
)

#: The volume and the boot of the machine.
MINE = ("00" * 16, "7b0a")


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
    # 1000 ns are 1074 ticks: the bucket ends at 2048.
    assert read["p50_ns"] == read["p99_ns"] == 1907
    reader.close()
    writer.close()


def count(
    path: Path, number: int = 1, stage: str = "device", mine: tuple[str, str] = MINE
) -> StatisticsPage:
    page = StatisticsPage.create(path, *mine)
    page.stage(stage).add(Op.WRITE, number, 512, 1000)
    return page


def written(page: StatisticsPage, stage: str = "device") -> int:
    return int(page.snapshot()["stages"].get(stage, {}).get("write", {"count": 0})["count"])


def test_counters_go_on_in_the_page_of_the_next_process(tmp_path: Path) -> None:
    first = count(tmp_path / "page", 3)
    first.stage("volume").size(Op.WRITE, 3, 512)
    first.stage("volume").fail(Op.WRITE, 2, Code.NO_SPACE)
    first.stage("volume").slow(Op.WRITE)
    first.stage("device").show({1: 7, 2: 9})
    first.stage("device").parked()
    before = first.snapshot()
    first.close()
    second = count(tmp_path / "page", 2)
    second.stage("volume").size(Op.WRITE, 1, 512)
    second.stage("volume").fail(Op.WRITE, 1, Code.NO_SPACE)
    second.stage("volume").slow(Op.WRITE)
    after = second.snapshot()
    assert written(second) == 5
    assert after["sizes"]["write"][9] == 4
    assert (after["failures"], after["slow"]) == ({"write": {"no space": 3}}, {"write": 2})
    assert after["owner"] == MINE[0]
    assert (before["starts"], after["starts"]) == (1, 2)
    assert after["start_ns"] == before["start_ns"], "it counts since the first one started"
    assert after["started_ns"] > before["started_ns"]
    assert after["parked"] == {}, "what was pending is gone with its process"
    assert second.begins_anew == ""
    second.close()


def test_nothing_that_was_counted_is_lost_with_a_process_that_is_killed(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        page = StatisticsPage.create(tmp_path / "page", *MINE)
        while True:
            page.stage("device").add(Op.WRITE, 1, 512, 1000)
            os.write(write_end, b".")
    told = len(os.read(read_end, 1000))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(write_end)
    while more := os.read(read_end, 1 << 20):
        told += len(more)
    os.close(read_end)
    second = StatisticsPage.create(tmp_path / "page", *MINE)
    assert written(second) - told in {0, 1}
    second.close()


def test_a_process_that_ends_before_it_has_a_stage_loses_no_counters(tmp_path: Path) -> None:
    count(tmp_path / "page", 3).close()
    StatisticsPage.create(tmp_path / "page", *MINE).close()
    third = count(tmp_path / "page", 1)
    assert (written(third), third.snapshot()["starts"]) == (4, 3)
    third.close()


@pytest.mark.parametrize("at", ["_words", "_more"])
def test_counters_that_nothing_can_have_counted_are_not_gone_on_from(
    tmp_path: Path, at: str
) -> None:
    """Else the first count would go over, and end the process: each one that is started anew."""
    first = count(tmp_path / "page", 3)
    stage = first.stage("volume")
    stage.size(Op.WRITE, 1, 512)
    words: memoryview = getattr(stage, at)
    for index in range(len(words)):
        words[index] = 2**64 - 1
    first.close()
    second = count(tmp_path / "page", 1, "volume")
    second.stage("volume").size(Op.WRITE, 1, 512)
    assert written(second, "volume") == 1
    assert second.origin.starts == 1
    assert "damaged" in second.begins_anew
    second.close()


def test_stages_of_another_order_find_their_counters_by_name(tmp_path: Path) -> None:
    page = count(tmp_path / "page", 1, "device")
    page.stage("filter.a").add(Op.WRITE, 7, 512, 1)
    page.close()
    page = count(tmp_path / "page", 1, "filter.a")
    page.stage("device")
    assert (written(page, "filter.a"), written(page, "device")) == (8, 1)
    page.close()


def test_stages_that_are_no_longer_there_make_room_for_new_ones(tmp_path: Path) -> None:
    page = StatisticsPage.create(tmp_path / "page", *MINE)
    for number in range(STAGE_COUNT_MAX):
        page.stage(f"filter.{number}").add(Op.WRITE, 1, 512, 1)
    page.close()
    page = StatisticsPage.create(tmp_path / "page", *MINE)
    page.stage("filter.1")
    page.stage("new").add(Op.WRITE, 1, 512, 1)
    assert written(page, "new") == written(page, "filter.1") == 1
    assert len(page.snapshot()["stages"]) == STAGE_COUNT_MAX
    page.close()


@pytest.mark.parametrize(
    "other", [("11" * 16, MINE[1]), (MINE[0], "another")], ids=["volume", "boot"]
)
def test_what_another_volume_or_boot_has_counted_is_not_taken(
    tmp_path: Path, other: tuple[str, str]
) -> None:
    first = count(tmp_path / "page", 3)
    first.close()
    second = count(tmp_path / "page", 1, mine=other)
    assert (written(second), second.origin.starts, second.begins_anew) == (1, 1, "")
    assert second.origin.start_ns > first.origin.start_ns
    second.close()


@pytest.mark.parametrize(
    ("at", "data", "why"),
    [
        (0, b"TIERSTA4", "of this version"),
        (0, bytes(8), "of this version"),
        (50, b"x", "damaged"),
        (160, b"\xff\xfe", "damaged"),
        (PAGE_BYTES // 2, None, "damaged"),
    ],
    ids=["older", "never written", "origin", "name", "cut off"],
)
def test_a_torn_page_or_one_of_another_version_is_told_and_counters_begin_at_zero(
    tmp_path: Path, at: int, data: bytes | None, why: str
) -> None:
    count(tmp_path / "page", 3).close()
    with (tmp_path / "page").open("r+b") as file:
        if data is None:
            file.truncate(at)
        else:
            file.seek(at)
            # What is there by chance may be just that.
            before = file.read(len(data))
            file.seek(at)
            file.write(data if data != before else b"y")
    with pytest.raises(FormatError, match=why):
        StatisticsPage.open(tmp_path / "page")
    page = count(tmp_path / "page", 1)
    assert written(page) == 1
    assert why in page.begins_anew
    page.close()


def test_sizes_are_the_roots_and_parked_is_each_stages(tmp_path: Path) -> None:
    page = StatisticsPage.create(tmp_path / "page", *MINE)
    page.stage("volume").size(Op.READ, 2, 4096)
    page.stage("device").size(Op.READ, 2, 4096)
    page.stage("device").show({1: 1000, 2: 2000, 3: 2000})
    page.stage("device").parked()
    page.stage("device").add(Op.READ, 1, 0, 5)
    page.stage("device").last(Op.READ)
    seen = page.snapshot()
    assert [(op, sum(sizes), sizes[12]) for op, sizes in seen["sizes"].items()] == [("read", 2, 2)]
    assert seen["parked"] == {"device": [3, 1000]}
    assert seen["stages"]["device"]["read"]["last"] == 1
    page.close()


def test_a_page_with_a_clock_is_up_to_date_when_that_has_run_and_asks_for_it_once(
    tmp_path: Path,
) -> None:
    loop = FakeReactor()
    writer = StatisticsPage.create(tmp_path / "page", later=loop.call_later)
    reader = StatisticsPage.open(tmp_path / "page")
    for stage in ("volume", "device"):
        for _ in range(3):
            writer.stage(stage).add(Op.WRITE, 1, 512, 1000)
    assert [timer.due for timer in loop.timers] == [loop.time + LATE_S]
    assert (written(reader), written(reader, "volume")) == (0, 0)
    loop.advance(LATE_S)
    assert (written(reader), written(reader, "volume")) == (3, 3)
    assert loop.timers == [], "nothing has come since"
    writer.stage("device").add(Op.WRITE, 1, 512, 1000)
    loop.advance(LATE_S)
    assert written(reader) == 4
    reader.close()
    writer.close()


def test_what_is_pending_is_looked_at_again_until_nothing_is(tmp_path: Path) -> None:
    loop, pending = FakeReactor(), {1: 700}
    writer = StatisticsPage.create(tmp_path / "page", later=loop.call_later)
    reader = StatisticsPage.open(tmp_path / "page")
    writer.stage("device").show(pending)
    writer.stage("device").parked()
    for expected in ({1: 700}, {1: 700, 2: 900}, {2: 900}):
        pending.clear()
        pending.update(expected)
        loop.advance(LATE_S)
        seen = reader.snapshot()["parked"]["device"]
        assert seen == [len(expected), next(iter(expected.values()))]
    pending.clear()
    loop.advance(LATE_S)
    assert reader.snapshot()["parked"] == {}
    assert loop.timers == []
    reader.close()
    writer.close()


def test_a_page_that_is_closed_or_asked_by_its_writer_lacks_nothing(tmp_path: Path) -> None:
    loop = FakeReactor()
    writer = StatisticsPage.create(tmp_path / "page", later=loop.call_later)
    reader = StatisticsPage.open(tmp_path / "page")
    writer.stage("device").add(Op.WRITE, 1, 512, 1000)
    assert written(writer) == written(reader) == 1
    writer.stage("device").add(Op.WRITE, 1, 512, 1000)
    writer.close()
    assert written(reader) == 2
    loop.advance(LATE_S)
    reader.close()


def test_who_is_killed_takes_what_the_clock_has_not_counted_and_no_counter_falls(
    tmp_path: Path,
) -> None:
    loop = FakeReactor()
    killed = StatisticsPage.create(tmp_path / "page", *MINE, later=loop.call_later)
    killed.stage("device").add(Op.WRITE, 5, 2560, 1000)
    loop.advance(LATE_S)
    killed.stage("device").add(Op.WRITE, 2, 1024, 1000)
    after = count(tmp_path / "page", 1)
    assert written(after) == 6
    after.close()
    killed.close()


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
