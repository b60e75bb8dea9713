"""The thread that the reference says of each call of a store is the one that it has."""

from __future__ import annotations

from pathlib import Path

from core.threads import Noted
from jiva.device_site import Site
from tierce import Op, Request, Store, StoreChoice
from tierce_jiva.device import open_device
from tierce_jiva.store import SparseFileStore


class Cold(SparseFileStore):
    """Has nothing in memory and no file to be read past it, so that its workers read all."""

    def local_path(self) -> None:
        return None

    def read_cached(self, offset: int, buffer: memoryview) -> bool:
        return False


def test_a_store_is_called_where_its_base_class_says(tmp_path: Path) -> None:
    noted = Noted()
    kind = noted.spied(Cold, Store)
    site = Site(tmp_path, store=StoreChoice("spied", kind))
    device = open_device(site.context())

    def do(*requests: Request) -> None:
        device.submit(list(requests), lambda _completed: None)
        site.until(lambda: all(request.status is not None for request in requests))

    buffer = memoryview(bytearray(4096))
    do(Request(Op.WRITE, 8192, 4096, buffer), Request(Op.DISCARD, 0, 4096))
    do(
        Request(Op.READ, 8192, 4096, buffer),
        Request(Op.FLUSH),
        Request(Op.BLOCK_STATUS, 0, 1 << 20),
    )
    site.stop("replica-2")
    do(Request(Op.WRITE, 1 << 20, 4096, buffer))
    site.until(lambda: site.states().get("replica-2") == "down")
    site.start("replica-2")
    site.until(lambda: "jiva.replica.in-sync" in {event.code for event in site.events})
    closed: list[object] = []
    device.close(closed.append)
    site.until(lambda: bool(closed))
    site.end()
    for step in ("condemn", "empty", "tidy"):
        getattr(site.lifecycle, step)(site.volume, ())
    called = noted.check(Store)
    assert called >= {"create", "destroy", "identify", "open", "local_path", "close", "check"}
    assert called >= {"write", "discard", "read_cached", "read", "find_extents", "flush"}
