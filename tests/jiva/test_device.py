"""A whole volume in one process: the device, three replicas, real sockets and files, one loop."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.volume.model import SIZE as MODEL_BYTES
from core.volume.model import Run
from core.volume.test_pipeline import check, operations
from jiva.device_site import SIZE, Site
from tierce import (
    Address,
    ConflictError,
    Op,
    Request,
    Status,
)
from tierce.volume.emulate import Emulator
from tierce_jiva.device import JivaDevice, open_device
from tierce_jiva.folder import ReplicaFolder


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.end()


def test_a_volume_is_written_flushed_read_degraded_rebuilt_and_closed_clean(site: Site) -> None:
    device = open_device(site.context())

    def do(*requests: Request) -> None:
        device.submit(list(requests), lambda _settled: None)
        site.until(lambda: all(request.status is not None for request in requests))
        assert all(request.status and request.status.is_good for request in requests)

    data = bytes(range(256)) * 16
    do(Request(Op.WRITE, 8192, 4096, memoryview(data)))
    do(Request(Op.FLUSH))
    assert len(site.heads()) == 1

    site.stop("replica-2")
    do(Request(Op.WRITE, 1 << 20, 4096, memoryview(data)), Request(Op.DISCARD, 8192, 512))
    site.until(lambda: site.states().get("replica-2") == "down")
    assert "jiva.replica.voted-out" in {event.code for event in site.events}
    assert len(site.heads()) == 2

    site.start("replica-2")
    site.until(lambda: "jiva.replica.in-sync" in {event.code for event in site.events})
    assert len(site.heads()) == 1
    # What ends something says how long that took.
    for code in ("jiva.volume.serving", "jiva.replica.in-sync"):
        (told,) = (event for event in site.events if event.code == code)
        assert 0 <= told.fields["took_ns"] < 60e9
    buffer = memoryview(bytearray(4096))
    do(Request(Op.READ, 8192, 4096, buffer))
    assert bytes(buffer) == bytes(512) + data[512:]
    do(Request(Op.DISCARD, 1 << 20, 4096))
    status = Request(Op.BLOCK_STATUS, 0, SIZE)
    do(status)
    assert [(extent.offset, extent.length, extent.is_hole) for extent in status.extents] == [
        (0, 8192, True),
        (8192, 4096, False),
        (12288, SIZE - 12288, True),
    ]

    stages = site.page.snapshot()["stages"]
    trips = {name: stages[f"jiva.replica/{name}"] for name in site.members}
    assert all(trip["write"]["count"] >= 2 and trip["flush"]["count"] for trip in trips.values())
    assert sum(trip["write"]["last"] for trip in trips.values()) >= 2

    closed: list[Status] = []
    device.close(closed.append)
    site.until(lambda: bool(closed))
    for name in list(site.processes):
        site.stop(name)
    for member in site.members.values():
        folder = ReplicaFolder(member.folder)
        assert not folder.record.marked
        assert folder.record.accepted.in_sync == tuple(site.members)
        folder.close()


def test_a_read_of_this_machines_own_file_that_waits_for_a_disk_is_counted(site: Site) -> None:
    device = open_device(site.context())
    requests = [Request(Op.READ, at, 4096, memoryview(bytearray(4096))) for at in (0, 4096)]
    found = device._local.read_cached
    device._local.read_cached = (  # type: ignore[method-assign]
        lambda head, requests: None if found(head, requests) is None else requests
    )
    site.until(lambda: site.states() == dict.fromkeys(site.members, "in-sync"))
    device.submit(requests, lambda _settled: None)
    site.until(lambda: all(request.status is not None for request in requests))
    missed = site.page.snapshot()["stages"]["jiva.local_miss"]["read"]
    assert (missed["count"], missed["bytes"], missed["failed"]) == (2, 8192, 0)
    close(site, device)


@settings(max_examples=20, deadline=None)
@given(steps=st.lists(operations, max_size=30))
def test_a_volume_below_core_keeps_the_bytes_it_was_given(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[Op, tuple[int, int], int, bool]],
) -> None:
    """As every engine does: whatever core may ask, against a byte array."""
    site = Site(tmp_path_factory.mktemp("site"), MODEL_BYTES)
    device = open_device(site.context())
    check(Run(Emulator(device), site.reactor), steps)
    close(site, device)
    site.end()


def close(site: Site, device: JivaDevice) -> None:
    closed: list[Status] = []
    device.close(closed.append)
    site.until(lambda: bool(closed))


def test_a_replica_whose_process_is_not_up_is_connected_to_when_it_is(site: Site) -> None:
    site.stop("replica-3")
    device = open_device(site.context())
    site.until(lambda: site.states().get("replica-1") == "in-sync")
    (shown,) = (one for one in site.shown() if one.name == "replica-3")
    assert shown.state == "down"
    site.start("replica-3")
    site.until(lambda: set(site.states().values()) == {"in-sync"})
    close(site, device)


def test_one_that_can_not_be_connected_to_is_tried_again(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nowhere = f"127.0.0.1:{listener.getsockname()[1]}"
    right, site.addresses["replica-3"] = site.addresses["replica-3"], nowhere
    device = open_device(site.context())
    site.until(lambda: any("refused" in one.trouble for one in site.shown()))
    site.addresses["replica-3"] = right
    site.until(lambda: set(site.states().values()) == {"in-sync"})
    close(site, device)


def test_an_address_that_is_none_is_told_and_read_again(site: Site) -> None:
    right, site.addresses["replica-3"] = site.addresses["replica-3"], "half of a file"
    device = open_device(site.context())
    site.until(lambda: any("expected HOST" in one.trouble for one in site.shown()))
    site.addresses["replica-3"] = right
    site.until(lambda: set(site.states().values()) == {"in-sync"})
    close(site, device)


def test_without_a_descriptor_for_it_a_connection_is_tried_again(site: Site) -> None:
    before, context = resource.getrlimit(resource.RLIMIT_NOFILE), site.context()
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        device = open_device(context)
        assert {link.trouble for link in device._replicator.links} == {
            f"can't connect to {address}: Too many open files"
            for address in site.addresses.values()
        }
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    site.until(lambda: set(site.states().values()) == {"in-sync"})
    close(site, device)


def test_one_that_is_hung_up_on_is_connected_to_again(site: Site) -> None:
    # It answers for another volume: refused, hung up on, and asked again.
    site.volume = attrs.evolve(site.volume, uuid="ffff")
    device = open_device(site.context())
    site.until(lambda: any("refused: identity" in one.trouble for one in site.shown()))
    first = site.accepted()
    site.until(lambda: site.accepted() > first + 3)
    close(site, device)


def test_what_was_answered_at_once_is_quiet_at_once(site: Site) -> None:
    device = open_device(site.context())
    quiet: list[None] = []
    device.when_quiet(lambda: quiet.append(None))
    assert quiet
    close(site, device)


def test_a_folder_has_one_process(site: Site) -> None:
    with pytest.raises(ConflictError, match="pid"):
        site.start("replica-1")


def test_what_a_stranger_sends_ends_his_connection_and_nothing_else(site: Site) -> None:
    where = Address.parse(site.addresses["replica-1"])
    with socket.create_connection((where.host, where.port)) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n" + b"\r\n" * 32)
        stranger.setblocking(False)
        site.until(lambda: _is_closed(stranger))
    device = open_device(site.context())
    site.until(lambda: set(site.states().values()) == {"in-sync"})
    closed: list[Status] = []
    device.close(closed.append)
    site.until(lambda: bool(closed))


def _is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
