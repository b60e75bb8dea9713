"""The plugin of the how-to, in a target and under a replicator, as a server has it."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import attrs
import pytest

from core.cli.howto import howto_files, install
from core.fake_process import FakeProcess
from core.volume.model import Run
from jiva.device_site import Site
from tierce import (
    Code,
    ConflictError,
    Finding,
    FormatError,
    LocalVolume,
    MemberLifecycle,
    MemberSpec,
    Op,
    Request,
    StoreChoice,
    TemporaryError,
    VolumeSpec,
)
from tierce.config import volume_from_mapping
from tierce.node.target import Target
from tierce.process.epoll import EpollReactor
from tierce.process.plan import Plan, Role
from tierce.process.process_loop import Process
from tierce.process.settings import TargetSettings
from tierce.registry import Registry
from tierce.registry.lifecycles import lifecycle_of, store_of
from tierce_jiva.device import open_device

BLOCK = 4096


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    site = tmp_path / "site"
    install(howto_files(), site)
    monkeypatch.syspath_prepend(str(site))
    yield Registry.load(enable=["shelf", "jiva"])
    for name in [name for name in sys.modules if name.partition(".")[0] == "tierce_shelf"]:
        del sys.modules[name]


def request(op: Op, fill: bytes = b"\0") -> Request:
    return Request(op, 0, BLOCK, memoryview(bytearray(fill * BLOCK)))


class Served:
    """A volume of the shelf under the filter, with the socket of the front end."""

    def __init__(self, folder: Path, registry: Registry) -> None:
        self.reactor = EpollReactor()
        self.process = FakeProcess(
            self.reactor, folder / "data", Plan("target.books", Role.TARGET, "books")
        )
        mapping = {
            "name": "books",
            "size": 1 << 20,
            "engine": "shelf",
            "options": {"folder": "./books", "file_size": BLOCK},
            "filters": [{"name": "tally"}, {"name": "lid", "size": 0}],
            "frontend": "peek",
        }
        config = volume_from_mapping(mapping, registry, base=folder, origin="")
        paths = self.process.paths
        volume = LocalVolume.of(config, paths.volume("books"), created=5.0)
        lifecycle_of(registry, "shelf").create(volume)
        options = registry.frontends["peek"].options()
        settings = TargetSettings(volume, (), {"peek": options})
        self.target = Target(cast("Process", self.process), registry, settings)
        self.run = Run(self.target._pipeline.device, self.reactor)
        self.socket = volume.frontend_folder("peek") / "socket"

    def until(self, is_so: Callable[[], Any]) -> None:
        def look() -> None:
            if is_so():
                self.reactor.stop()
            else:
                self.reactor.call_later(0.002, look)

        self.reactor.call_soon(look)
        self.reactor.run()

    def ask(self, client: socket.socket, line: bytes, count: int) -> bytes:
        """What the front end sends, as far as that many bytes; less if it hangs up."""
        client.sendall(line)
        said = bytearray()
        is_over: list[bool] = []

        def come() -> bool:
            try:
                data = client.recv(1 << 16)
            except BlockingIOError:
                return False
            said.extend(data)
            if not data:
                is_over.append(True)
            return bool(is_over) or len(said) >= count

        self.until(come)
        return bytes(said)


@pytest.fixture
def served(tmp_path: Path, registry: Registry) -> Iterator[Served]:
    made = Served(tmp_path, registry)
    yield made
    made.reactor.close()


def test_what_is_written_is_counted_by_the_filter_and_shown_by_the_front_end(
    served: Served,
) -> None:
    served.run.submit(request(Op.WRITE, b"b"), Request(Op.FLUSH))
    assert cast("Any", served.target._pipeline.filters[0]).byte_count == BLOCK
    (action,) = [
        one
        for one in served.process.manager.describe()
        if (one["part"], one["action"]) == ("filter.tally", "written")
    ]
    assert "byte_count" in str(action["result"])
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(served.socket))
        client.setblocking(False)
        assert served.ask(client, b"0 4096\n", BLOCK) == b"b" * BLOCK
        assert served.ask(client, b"512 512\n", 512) == b"b" * 512
        assert served.ask(client, b"no extent\n", 1) == b""
    assert served.process.events == []


def test_the_beginning_is_under_the_lid_of_the_simple_filter_as_far_as_it_says(
    served: Served,
) -> None:
    def status(*requests: Request) -> list[Any]:
        return [one.status and one.status.code for one in served.run.submit(*requests)]

    def write(offset: int, fill: bytes) -> Request:
        return Request(Op.WRITE, offset, BLOCK, memoryview(bytearray(fill * BLOCK)))

    assert status(write(0, b"a"), Request(Op.FLUSH)) == [Code.GOOD] * 2
    live = {"filters[1]": {"of": "lid", "values": {"size": 2 * BLOCK}}}
    served.target.commands["reconfigure"]({"live": live}, [])
    served.until(lambda: served.process.events)
    assert served.process.events[0].message.endswith("filters[1] (lid) has taken size")
    served.process.events.clear()
    codes = status(write(BLOCK, b"b"), write(2 * BLOCK, b"b"))
    assert codes == [Code.READ_ONLY, Code.GOOD]
    read = Request(Op.READ, 0, 3 * BLOCK, memoryview(bytearray(3 * BLOCK)))
    assert status(read) == [Code.GOOD]
    assert bytes(read.buffer or b"") == b"a" * BLOCK + bytes(BLOCK) + b"b" * BLOCK
    closed: list[bool] = []
    served.target.close(lambda: closed.append(True))
    served.until(lambda: closed)


def test_the_front_end_closes_when_all_is_answered_and_everyone_is_gone(served: Served) -> None:
    closed: list[bool] = []
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(served.socket))
        client.setblocking(False)
        served.ask(client, b"0 512\n", 512)
        served.target.close(lambda: closed.append(True))
        served.until(lambda: closed)
        assert client.recv(1) == b""
    assert served.process.events == []


def test_the_store_keeps_three_replicas_equal_and_rebuilds_one(
    tmp_path: Path, registry: Registry
) -> None:
    site = Site(tmp_path, store=StoreChoice("shelf", store_of(registry, "shelf").kind))
    device = open_device(site.context())

    def do(*requests: Request) -> None:
        device.submit(list(requests), lambda _completed: None)
        site.until(lambda: all(one.status is not None for one in requests))
        assert all(one.status and one.status.is_good for one in requests)

    do(request(Op.WRITE, b"a"), Request(Op.FLUSH))
    site.stop("replica-2")
    do(request(Op.WRITE, b"b"))
    site.until(lambda: site.states().get("replica-2") == "down")
    site.start("replica-2")
    site.until(lambda: "jiva.replica.in-sync" in {event.code for event in site.events})
    asked = request(Op.READ)
    do(asked)
    assert bytes(asked.buffer or b"") == b"b" * BLOCK
    closed: list[object] = []
    device.close(closed.append)
    site.until(lambda: bool(closed))
    site.end()
    kept = [member.folder / "shelf.bytes" for member in site.members.values()]
    assert {path.read_bytes()[:BLOCK] for path in kept} == {b"b" * BLOCK}
    for step in ("condemn", "empty"):
        getattr(site.lifecycle, step)(site.volume, ())
    assert not [path for path in kept if path.exists()]


def test_the_members_of_the_howto_are_made_removed_and_read_apart(
    tmp_path: Path, registry: Registry
) -> None:
    del registry
    from tierce_shelf.members import ShelvesLifecycle  # type: ignore[import-not-found] # noqa: PLC0415

    lifecycle: MemberLifecycle = ShelvesLifecycle()
    folders = tuple(tmp_path / name for name in ("a", "b"))
    options = SimpleNamespace(folders=folders)
    volume = VolumeSpec("books", "00ff", 1 << 20, BLOCK, "shelves", options, ())
    members = lifecycle.members(volume)

    def each(*steps: Callable[[VolumeSpec, MemberSpec], None]) -> list[list[str]]:
        for step in steps:
            for member in [*members, *members]:
                step(volume, member)
        return [sorted(one.name for one in folder.glob("*")) for folder in folders]

    assert each(lifecycle.create_member) == [["card.json"], ["card.json"]]
    for folder in folders:
        (folder / "one.bytes").touch()
    found = tuple(Finding(folder, lifecycle.adopt_member(folder)) for folder in folders[::-1])
    assert lifecycle.adopt_found(found, ()) == {
        "name": "books",
        "uuid": "00ff",
        "created": 0.0,
        "size": 1 << 20,
        "block_size": BLOCK,
        "options": {"folders": [str(folder) for folder in folders]},
    }
    with pytest.raises(ConflictError):
        lifecycle.adopt_found(found, ("shelf-2",))
    with pytest.raises(ConflictError, match="another volume's"):
        lifecycle.create_member(attrs.evolve(volume, uuid="beef"), members[0])
    marked = each(lifecycle.condemn_member)
    assert marked == [["deleted.json", "one.bytes"]] * 2
    with pytest.raises(FormatError):
        lifecycle.adopt_member(folders[0])
    assert each(lifecycle.spare_member) == [["card.json", "one.bytes"]] * 2
    folders[0].rename(tmp_path / "away")
    for step in (lifecycle.condemn_member, lifecycle.empty_member):
        with pytest.raises(TemporaryError):
            step(volume, members[0])
    (tmp_path / "away").rename(folders[0])
    assert each(lifecycle.condemn_member, lifecycle.empty_member) == [["deleted.json"]] * 2
    each(lifecycle.tidy_member)
    assert not any(folder.exists() for folder in folders)
    each(lifecycle.create_member, lifecycle.delete_member)
    assert not any(folder.exists() for folder in folders)
