"""What a service is given of the I/Os that targets write down: each once, and what is lost."""

from __future__ import annotations

from pathlib import Path

from core.volume.test_trace_ring import io
from tierce.node.trace_following import Kept, TraceFollower, kept_records
from tierce.process.paths import Paths
from tierce.volume.trace_ring import SLOT_COUNT, TraceRing


class Scene:
    def __init__(self, folder: Path) -> None:
        self.paths = Paths(folder)
        self.paths.make()
        self.kept = folder / "places"

    def write(self, volume: str, *offsets: int, left_out: int = 0) -> None:
        """As a target that starts, writes so many down, and ends."""
        ring = TraceRing.create(self.paths.traces(volume))
        for offset in offsets:
            ring.write(io(offset, ("device", "", 0, 64, 0)))
        ring.leave_out(left_out)
        ring.close()

    def follower(self, volume: str = "") -> TraceFollower:
        return TraceFollower(self.paths, self.kept, volume)


def given(follower: TraceFollower) -> list[tuple[str, int]]:
    return [(one.volume, one.offset) for one in follower.traces().items]


def test_a_new_service_begins_with_what_comes_and_gets_each_once(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.write("a", 1, 2)
    follower = scene.follower()
    assert given(follower) == []
    scene.write("a", 3)
    scene.write("b", 4)
    assert given(follower) == [("a", 3), ("b", 4)]
    assert given(follower) == []
    scene.write("a", 5)
    (record,) = follower.traces().items
    assert [one.stage for one in record.stages] == ["device"]


def test_what_was_overwritten_or_never_written_is_counted(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.write("a", 0)
    follower = scene.follower()
    follower.traces()
    scene.write("a", *range(SLOT_COUNT + 10), left_out=7)
    found = follower.traces()
    assert (len(found.items), found.lost, found.left_out) == (SLOT_COUNT, 10, 7)
    assert found.items[0].offset == 10
    again = follower.traces()
    assert (again.items, again.lost, again.left_out) == ((), 0, 0)


def test_a_service_that_is_started_anew_gets_again_what_it_was_given_last(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.write("a", 0)
    first = scene.follower()
    first.traces()
    scene.write("a", 1)
    assert given(first) == [("a", 1)]
    scene.write("a", 2)
    assert given(scene.follower()) == [("a", 1), ("a", 2)]


def test_a_ring_that_was_made_anew_is_read_from_its_start(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.write("a", 0, 1, 2)
    follower = scene.follower()
    follower.traces()
    scene.paths.traces("a").unlink()
    assert given(follower) == []
    scene.write("a", 7)
    assert given(follower) == [("a", 7)]


def test_a_place_is_written_only_where_it_is_another_one(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.write("a", 0)
    follower = scene.follower()
    for _call in range(2):
        follower.traces()
    # A new file each time that it is written.
    with scene.kept.open("rb") as before:
        follower.traces()
        assert scene.kept.samefile(f"/proc/self/fd/{before.fileno()}")
        scene.write("a", 1)
        for _call in range(2):
            follower.traces()
        assert not scene.kept.samefile(f"/proc/self/fd/{before.fileno()}")


def test_a_service_of_one_volume_sees_that_one(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.write("a", 0)
    scene.write("b", 0)
    follower = scene.follower("b")
    follower.traces()
    scene.write("a", 1)
    scene.write("b", 2)
    assert given(follower) == [("b", 2)]


def test_what_was_given_of_a_ring_that_can_not_be_read_for_a_while_is_not_given_again(
    tmp_path: Path,
) -> None:
    scene = Scene(tmp_path)
    follower = scene.follower()
    follower.traces()
    scene.write("a", 1, 2)
    assert given(follower) == [("a", 1), ("a", 2)]
    ring = scene.paths.traces("a")
    aside = ring.rename(tmp_path / "aside")
    # As where there is no descriptor left.
    ring.mkdir()
    assert given(follower) == []
    ring.rmdir()
    aside.rename(ring)
    scene.write("a", 3)
    assert given(follower) == [("a", 3)]


def test_a_ring_that_can_not_be_read_hides_no_other(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    follower = scene.follower()
    follower.traces()
    scene.paths.traces("a").write_bytes(b"no ring")
    scene.write("b", 2)
    assert given(follower) == [("b", 2)]


def test_what_a_ring_keeps_can_be_read_from_a_number_on(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    path = scene.paths.traces("a")
    assert kept_records(path) == Kept()
    scene.write("a", 1, 2, 3, left_out=5)
    kept = kept_records(path)
    assert [(one.volume, one.offset) for one in kept.records] == [("a", 1), ("a", 2), ("a", 3)]
    assert (kept.following, kept.lost, kept.left_out) == (3, 0, 5)
    assert [one.offset for one in kept_records(path, 2).records] == [3]
    assert kept_records(path, kept.following) == Kept((), 3, 0, 5)
    # One that was made anew begins with number 0.
    assert len(kept_records(path, 77).records) == 3
    scene.write("a", *range(SLOT_COUNT))
    assert kept_records(path, 1).lost == 2
