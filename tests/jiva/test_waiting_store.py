"""A replica whose store opens later: it runs and says so, its volume goes on with the others, and
it takes part as soon as it is open, without a restart. A stranger's store does, where it counts."""

from __future__ import annotations

import errno
import importlib.util
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

from jiva import device_site
from jiva.device_site import SIZE
from jiva.replica_site import Site, Store, choice_of
from tierce import (
    ConflictError,
    FormatError,
    Job,
    MemberSpec,
    MemberStatus,
    Op,
    Opening,
    Request,
    StoreCapability,
    StoreChoice,
    TemporaryError,
)
from tierce_jiva.ballot import NO_BALLOT
from tierce_jiva.device import JivaDevice, open_device
from tierce_jiva.folder import ReplicaFolder
from tierce_jiva.waiting_store import TOLD_S
from tierce_jiva.wire import Kind, encode_control

HELLO = {"kind": "hello", "uuid": "00ff", "replica": "replica-1"}
SOURCE = Path(__file__).parents[1] / "strangers" / "vault" / "tierce_vault.py"


# -- one replica -----------------------------------------------------------------------------------


class Later:
    """A replica whose store opens when the test says so."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.given_up: list[str] = []
        self.opening = Opening[Any]("the pool is imported", lambda: self.given_up.append("so"))
        self.published: list[MemberStatus] = []
        self.process = site.start(
            store=choice_of(lambda _context: cast("Any", self.opening)),
            publish=self.published.append,
        )

    def codes(self) -> list[str]:
        return [event.code for event in self.site.events]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "replica")
    yield site
    for peer in site.peers:
        peer.socket.close()
    if site.process is not None:
        site.process.close(lambda: None)
        site.work_off()
    site.reactor.close()


@pytest.fixture
def later(site: Site) -> Later:
    return Later(site)


def end(later: Later) -> list[str]:
    closed: list[str] = []
    later.process.close(lambda: closed.append("closed"))
    later.site.turn()
    return closed


def test_a_target_that_comes_meanwhile_is_told_so_and_to_come_again(later: Later) -> None:
    peer = later.site.connect()
    peer.send(encode_control(7, NO_BALLOT, HELLO))
    (frame,) = peer.received()
    assert (frame.kind, frame.sequence) == (Kind.CONTROL, 7)
    assert frame.control() == {
        "kind": "refused",
        "why": "opening",
        "text": "its store sparse-file is being opened: the pool is imported",
        "promised": NO_BALLOT.to_json(),
    }
    later.opening.settle(later.site.store)
    # What it was told is not so any more.
    assert peer.is_closed
    again = later.site.connect()
    again.begin()
    assert end(later) == ["closed"]
    assert later.site.store.is_closed


def test_what_takes_long_is_told_once_by_the_stores_name_and_once_when_it_is_over(
    later: Later,
) -> None:
    reactor = later.site.reactor
    reactor.advance(TOLD_S - 1)
    assert later.codes() == []
    reactor.advance(1)
    reactor.advance(100)
    (event,) = later.site.events
    assert (event.code, event.severity) == ("jiva.replica.opening", "warning")
    assert event.message == (
        "replica-1 has waited 10 s: its store sparse-file is being opened: the pool is imported; "
        "the volume goes on with its other replicas, if they are enough"
    )
    later.opening.settle(later.site.store)
    assert later.site.events[-1].message == (
        "replica-1 has its store sparse-file open, after 110 s"
    )
    assert later.codes() == ["jiva.replica.opening", "jiva.replica.opened"]
    end(later)


def test_what_opens_soon_is_not_told_of(later: Later) -> None:
    later.opening.settle(later.site.store)
    later.site.reactor.advance(TOLD_S)
    assert later.codes() == []
    end(later)


def test_operators_see_that_it_is_being_opened_until_it_is(later: Later) -> None:
    assert [(status.state, status.trouble) for status in later.published] == [
        ("opening", "its store sparse-file is being opened: the pool is imported")
    ]
    later.opening.settle(later.site.store)
    assert [status.state for status in later.published[1:]] == ["up"]
    end(later)


def test_what_it_can_be_asked_for_is_known_before_it_is_open_and_refused_till_then(
    site: Site,
) -> None:
    class Scrubbed(Store):
        def scrub(self, offset: int, length: int) -> list[tuple[int, int]]:
            return []

        open = cast("Any", staticmethod(lambda _context: Opening[Any]("the pool is imported")))

    assert StoreCapability.SCRUB in Scrubbed.capabilities()
    process = site.start(store=StoreChoice("sparse-file", Scrubbed))
    assert [action.name for action in process.actions()] == ["scrub"]
    failed: list[BaseException] = []
    process.manage("scrub", None, cast("Job", SimpleNamespace(fail=failed.append)))
    assert [type(error) for error in failed] == [TemporaryError]
    assert "the pool is imported" in str(failed[0])


def test_a_stop_gives_it_up_at_once_and_closes_what_opens_all_the_same(later: Later) -> None:
    peer = later.site.connect()
    assert end(later) == ["closed"]
    assert later.given_up == ["so"]
    assert peer.is_closed
    # What opens it may still be at it, and the folder has one process.
    with pytest.raises(ConflictError, match="has this folder open"):
        ReplicaFolder(later.site.path)
    later.opening.settle(later.site.store)
    assert later.site.store.is_closed
    ReplicaFolder(later.site.path).close()
    later.site.reactor.advance(TOLD_S)
    assert later.codes() == []


@pytest.mark.parametrize("is_late", [False, True])
def test_one_that_fails_later_ends_the_replica_as_one_that_fails_at_once(
    later: Later, is_late: bool
) -> None:
    later.site.reactor.advance(TOLD_S if is_late else 0)
    failure = FormatError("is no pool", path=Path("/pool"))
    with pytest.raises(FormatError, match="/pool: is no pool"):
        later.opening.settle(None, failure)
    # It has ended by itself: there is nothing to give up, and nothing holds the folder.
    assert (end(later), later.given_up) == (["closed"], [])
    ReplicaFolder(later.site.path).close()
    told = [event.message for event in later.site.events if event.code == "jiva.replica.opened"]
    expected = ["replica-1 could not open its store sparse-file, after 10 s"]
    assert told == (expected if is_late else [])


def test_one_that_is_settled_by_what_is_no_store_is_a_mistake_of_its_class(later: Later) -> None:
    with pytest.raises(TypeError, match="has settled its opening by 'some'"):
        later.opening.settle("some")


def test_a_folder_that_is_exchanged_meanwhile_is_refused_and_the_store_closed(
    later: Later,
) -> None:
    (later.site.path / "record.json").write_bytes(b"damaged")
    with pytest.raises(FormatError, match=r"record\.json"):
        later.opening.settle(later.site.store)
    assert later.site.store.is_closed


def test_who_can_not_listen_ends_before_it_waits(site: Site) -> None:
    given_up: list[str] = []
    opening = Opening[Any]("the pool is imported", lambda: given_up.append("so"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConflictError, match=address):
            site.start(
                store=choice_of(lambda _context: cast("Any", opening)),
                member=MemberSpec("replica-1", site.path, address),
            )
    assert given_up == ["so"]
    with pytest.raises(ConflictError, match="has this folder open"):
        ReplicaFolder(site.path)
    opening.settle(site.store)
    assert site.store.is_closed
    ReplicaFolder(site.path).close()


# -- a volume, with a stranger's store -------------------------------------------------------------


@pytest.fixture(scope="module")
def module() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("tierce_vault", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = found
    spec.loader.exec_module(found)
    yield found
    del sys.modules[spec.name]


class Volume:
    """A volume of three replicas in vaults, one of which is not open."""

    def __init__(self, folder: Path, module: ModuleType, *, is_patient: bool) -> None:
        options = module.VaultOptions(is_patient=is_patient)
        choice = StoreChoice("vault", module.VaultStore, module.VaultOptions)
        self.site = site = device_site.Site(folder, store=choice, store_options=options)
        self.key = site.members["replica-3"].folder / module.KEY
        for name in ("replica-1", "replica-2"):
            (site.members[name].folder / module.KEY).write_text("open")
        self.device: JivaDevice = open_device(site.context())

    def do(self, request: Request) -> None:
        self.device.submit([request], lambda _settled: None)
        self.site.until(lambda: request.status is not None)
        assert request.status is not None
        assert request.status.is_good

    def write(self, offset: int, data: bytes) -> None:
        self.do(Request(Op.WRITE, offset, len(data), memoryview(data)))

    def read(self, offset: int, length: int) -> bytes:
        buffer = memoryview(bytearray(length))
        self.do(Request(Op.READ, offset, length, buffer))
        return bytes(buffer)

    def close(self) -> None:
        closed: list[object] = []
        self.device.close(closed.append)
        self.site.until(lambda: bool(closed))
        self.site.end()


@pytest.fixture(params=[False, True], ids=["by timers", "on a thread"])
def volume(request: pytest.FixtureRequest, tmp_path: Path, module: ModuleType) -> Iterator[Volume]:
    volume = Volume(tmp_path, module, is_patient=request.param)
    yield volume
    volume.close()


def until(volume: Volume, is_so: Callable[[dict[str, str]], bool]) -> None:
    volume.site.until(lambda: is_so(volume.site.states()))


def test_the_others_serve_meanwhile_and_it_becomes_healthy_without_a_restart(
    volume: Volume,
) -> None:
    process = volume.site.processes["replica-3"]
    volume.write(0, b"A" * 4096)
    until(volume, lambda states: states.get("replica-1") == states.get("replica-2") == "in-sync")
    (third,) = (one for one in volume.site.shown() if one.name == "replica-3")
    assert third.state == "down"
    assert third.trouble == "its store vault is being opened: its key is not there"
    volume.key.write_text("open")
    until(volume, lambda states: set(states.values()) == {"in-sync"})
    assert volume.site.processes["replica-3"] is process
    assert volume.site.published.state == "serving"
    # What it missed it has: the others are not needed for it.
    volume.do(Request(Op.FLUSH, 0, 0))
    head = (process._folder.path / "vault.bytes").read_bytes()
    assert (len(head), head[:4096]) == (SIZE, b"A" * 4096)


def test_one_that_never_opens_keeps_nobody_from_serving_and_ends_at_once(
    volume: Volume,
) -> None:
    for number in range(8):
        volume.write(number * 4096, bytes([number]) * 4096)
    assert volume.read(3 * 4096, 4096) == b"\3" * 4096
    assert volume.site.states()["replica-3"] == "down"
    # It is asked again and again, and refuses each time; not so often that it would be a burden.
    asked = volume.site.processes["replica-3"]._connection_number
    assert asked
    closed: list[str] = []
    volume.site.processes.pop("replica-3").close(lambda: closed.append("closed"))
    assert closed == ["closed"]
    volume.key.write_text("never mind")


def test_one_that_fails_late_ends_and_is_started_anew_while_the_others_serve(
    volume: Volume,
) -> None:
    volume.write(0, b"A" * 4096)
    volume.key.write_text("wrong")
    with pytest.raises(FormatError, match="the key says 'wrong'"):
        volume.site.until(lambda: False)
    process = volume.site.processes.pop("replica-3")
    process.close(lambda: None)
    assert volume.read(0, 4096) == b"A" * 4096
    volume.key.write_text("open")
    volume.site.start("replica-3")
    until(volume, lambda states: set(states.values()) == {"in-sync"})


def test_an_opening_that_fails_by_the_medium_is_told_by_that() -> None:
    opening = Opening[Any]("the pool is imported")
    told: list[Any] = []
    opening.wait(lambda _store, error: told.append(error))
    opening.settle(None, OSError(errno.EIO, "Input/output error"))
    assert isinstance(told[0], OSError)
