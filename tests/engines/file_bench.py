"""A file device, its loop, and what it answered late; worker threads are the test's own hands."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import attrs

from core.fake_reactor import FakeReactor
from core.volume.model import open_context, volume_spec
from tierce import Code, Event, Op, Request, Status, VolumeStatus
from tierce.volume.statistics import StatisticsPage
from tierce_engines.file import FileDevice
from tierce_engines.file_lifecycle import FileLifecycle
from tierce_engines.options import FileOptions


class Bench:
    """One volume, made and opened.

    Args:
        folder: Where everything lies.
        size_bytes: The volume's size, 0 for the usual one.
    """

    def __init__(self, folder: Path, size_bytes: int = 0) -> None:
        self.volume = volume_spec(folder, "file", FileOptions(path=str(folder / "x.img")))
        if size_bytes:
            self.volume = attrs.evolve(self.volume, size_bytes=size_bytes)
        FileLifecycle().create(self.volume)
        self.reactor, self.page = FakeReactor(by_hand=True), StatisticsPage.create(folder / "page")
        self.events: list[Event] = []
        self.shown = VolumeStatus()
        self.late: list[Request] = []
        self.open()
        # An opening begins with a flush.
        self.reactor.work_off()

    def open(self) -> None:
        """Open the volume, as the next target process does."""
        self.reactor.work.clear()
        context = open_context(self.volume, self.reactor, self.page)
        self.device = FileDevice(
            attrs.evolve(context, emit=self.events.append, publish=self._publish)
        )

    def kill(self) -> None:
        """End the target's process as kill -9 does, and open it anew."""
        os.close(self.device._descriptor)
        self.open()

    def _publish(self, shown: VolumeStatus) -> None:
        self.shown = shown

    def submit(self, *batch: Request) -> None:
        self.device.submit(list(batch), self.late.extend)

    def flush(self) -> Request:
        request = Request(Op.FLUSH)
        self.submit(request)
        return request

    def codes(self) -> list[str]:
        """Take the codes of the events so far."""
        codes = [event.code for event in self.events]
        self.events.clear()
        return codes

    def work_off(self) -> None:
        """Do what worker threads have to do, until there is nothing."""
        while self.reactor.work:
            self.reactor.work_off()

    def shut(self) -> Status:
        """Close the device, orderly."""
        closed: list[Status] = []
        self.device.close(closed.append)
        self.work_off()
        return closed[0]

    def close(self) -> None:
        self.work_off()
        self.device.close(lambda _status: None)
        self.work_off()
        self.reactor.close()
        self.page.close()


def read(offset: int, length: int = 4096) -> Request:
    return Request(Op.READ, offset, length, memoryview(bytearray(length)))


def write(offset: int, data: bytes) -> Request:
    return Request(Op.WRITE, offset, len(data), memoryview(data))


def raising(number: int) -> Callable[..., int]:
    def call(*_arguments: object) -> int:
        raise OSError(number, os.strerror(number))

    return call


def code(request: Request) -> Code | None:
    return request.status.code if request.status is not None else None
