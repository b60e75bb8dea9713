"""Reads of replicas' files on the target's own machine: what is cached, what a thread reads, and
what no file can give."""

from __future__ import annotations

import pytest

from jiva.ladder import said
from jiva.read_ladder import NAMES, A, B, C, File, Ladder
from tierce import GOOD, Code, Status
from tierce_jiva.links import Head
from tierce_jiva.target_actions import ForgetFile

GAVE_UP = Status(Code.NOT_READY, "too late")


def at_home(*names: str) -> tuple[Ladder, File]:
    """These replicas are on the target's machine."""
    file = File()
    ladder = Ladder(local=file)
    for number, link in enumerate(ladder.links):
        link.boot_id = "here" if link.name in names else "elsewhere"
        link.head = Head(f"/{link.name}", 1, number, 5, link.connection)
    ladder.use(*NAMES)
    return ladder, file


def test_what_is_cached_here_is_answered_at_once() -> None:
    ladder, file = at_home(B)
    file.cached = {0, 512}
    reads = ladder.read(0, 512)
    assert [read.status for read in reads] == [GOOD, GOOD]
    assert file.asked == [(ladder.links[B].head, [0, 512])]
    assert ladder.answered == [], "it is answered by its status"
    assert ladder.asked() == {}


def test_what_is_not_cached_here_comes_later_and_is_told() -> None:
    ladder, file = at_home(B)
    file.cached = {0}
    cached, cold = ladder.read(0, 512)
    assert (cached.status, cold.status) == (GOOD, None)
    ladder.come_back()
    assert cold.status is GOOD
    assert ladder.answered == [cold]


def test_of_several_here_each_is_read_for_its_own_extents() -> None:
    ladder, file = at_home(A, C)
    mib = 1 << 20
    file.cached = {number * mib for number in range(4)}
    ladder.read(*sorted(file.cached))
    asked = {head.path: offsets for head, offsets in file.asked}
    assert asked == {"/replica-1": [0, 2 * mib], "/replica-3": [mib, 3 * mib]}


def test_a_file_that_is_not_found_here_is_read_from_its_replica() -> None:
    ladder, file = at_home(B)
    file.is_missing = True
    ladder.read(0)
    assert ladder.asked()
    file.is_missing = False
    ladder.read(0)
    assert file.asked == [], "it is not looked for again on this connection"
    ladder.use(*NAMES)
    ladder.read(0)
    assert file.asked


@pytest.mark.parametrize("name", NAMES)
def test_whoever_has_the_file_that_is_not_found_here_can_be_asked_for_it(name: str) -> None:
    ladder, file = at_home(name)
    ladder.use(name)
    file.is_missing = True
    ladder.read(0)
    assert ladder.asked() == {name: [0]}


def test_what_a_file_can_not_give_is_told_and_comes_from_another_replica() -> None:
    ladder, _ = at_home(B)
    good, bad = ladder.read(0, 512)
    ladder.come_back(512)
    assert good.status is GOOD
    assert bad.status is None
    assert ladder.failures == [(B, "bad sector", [512])]
    link = ladder.one_asked()
    assert link.name != B
    ladder.come(link, (512, b"r" * 512))
    assert bad.status is GOOD


@pytest.mark.parametrize("how", ["connection", "out", "unrest"])
def test_a_file_that_came_to_be_in_question_meanwhile_is_read_again(how: str) -> None:
    ladder, _ = at_home(B)
    good, bad = ladder.read(0, 512)
    link = ladder.links[B]
    if how == "connection":
        assert link.head is not None
        ladder.reads.lost(link)
        assert [action.head for action in said(ladder.agenda, ForgetFile)] == [link.head]
        link.head = Head("/replica-2", 1, 99, 6, link.connection + 1)
    elif how == "out":
        ladder.use(A, C)
    else:
        ladder.disturb(0)
    ladder.come_back(512)
    assert good.status is None
    assert ([good], 3.0) in ladder.pending
    assert bad.status is None
    # What failed on a file that was given up is nobody's fault.
    assert ladder.failures == ([] if how == "connection" else [(B, "bad sector", [512])])


@pytest.mark.parametrize("how", ["there", "connection", "out"])
def test_of_what_a_file_can_give_nothing_of_nothing_waits(how: str) -> None:
    ladder, _ = at_home(B)
    (bad,) = ladder.read(0)
    if how == "connection":
        ladder.links[B].head = None
    elif how == "out":
        ladder.use(A, C)
    ladder.come_back(0)
    assert ladder.pending == [], "whoever waits for nothing would be told of nothing"
    ladder.come(ladder.one_asked(), (0, b"r" * 512))
    assert bad.status is GOOD


def test_a_file_that_a_write_overtook_is_read_again() -> None:
    ladder, _ = at_home(B)
    (read,) = ladder.read(0)
    ladder.in_flight.add(0, 512)
    ladder.come_back()
    assert read.status is None
    assert ladder.pending == [([read], 3.0)]


def test_nothing_of_this_machine_is_read_where_its_memory_is_not_shared() -> None:
    ladder, file = at_home()
    ladder.read(0)
    assert file.asked == []
    assert ladder.asked()


def test_reads_of_files_are_not_given_up_while_a_thread_fills_their_buffers() -> None:
    ladder, _ = at_home(B)
    (read,) = ladder.read(0, since=0.0)
    ladder.reads.give_up(99.0, GAVE_UP)
    assert read.status is None
    ladder.come_back()
    assert read.status is GOOD
