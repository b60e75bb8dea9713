"""Three replicas of a volume in one process, on real sockets and folders, and their target."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jiva.whole import WholeJiva
from tierce import (
    Event,
    LocalVolume,
    MemberContext,
    MemberStatus,
    OpenContext,
    StoreChoice,
    VolumeStatus,
)
from tierce.process.epoll import EpollReactor
from tierce.volume.statistics import StatisticsPage
from tierce_jiva.boot import boot_id
from tierce_jiva.options import JivaOptions, ReplicaOptions
from tierce_jiva.replica_process import ReplicaProcess
from tierce_jiva.store import SparseFileStore

SIZE = 4 << 20
PATIENCE_S = 30.0
SPARSE = StoreChoice("sparse-file", SparseFileStore)


class Site:
    """One machine with three replicas, their target to come."""

    def __init__(
        self,
        folder: Path,
        size_bytes: int = SIZE,
        store: StoreChoice = SPARSE,
        store_options: Any = None,
    ) -> None:
        self.store = store
        replicas = tuple(ReplicaOptions(folder=str(folder / name)) for name in "abc")
        options = JivaOptions(replicas, reconnect_grace_s=0.05, opening_patience_s=0.1)
        self.volume = LocalVolume(
            "demo",
            "00ff",
            size_bytes,
            512,
            "jiva",
            options,
            (),
            folder=folder / "own",
            store_options=store_options,
        )
        self.reactor = EpollReactor()
        self.published = VolumeStatus()
        self.page = StatisticsPage.create(folder / "page")
        self.events: list[Event] = []
        self.addresses: dict[str, str] = {}
        self.processes: dict[str, ReplicaProcess] = {}
        self.lifecycle = lifecycle = WholeJiva(store)
        lifecycle.create(self.volume)
        self.members = {member.name: member for member in lifecycle.members(self.volume)}
        for name in self.members:
            self.start(name)

    def start(self, name: str) -> None:
        self.processes[name] = ReplicaProcess(
            MemberContext(
                volume_name="demo",
                volume_uuid="00ff",
                size_bytes=self.volume.size_bytes,
                block_size=512,
                member=self.members[name],
                reactor=self.reactor,
                boot_id=boot_id(),
                announce=lambda address: self.addresses.update({name: address}),
                stage=self.page.stage,
                emit=self.events.append,
                publish=lambda _status: None,
                store=self.store,
                store_options=self.volume.store_options,
            )
        )

    def stop(self, name: str) -> None:
        del self.addresses[name]
        closed: list[None] = []
        self.processes.pop(name).close(lambda: closed.append(None))
        self.until(lambda: bool(closed))

    def end(self) -> None:
        for name in list(self.processes):
            self.stop(name)
        self.page.close()
        self.reactor.close()

    def context(self) -> OpenContext:
        return OpenContext(
            volume=self.volume,
            options=self.volume.engine_options,
            reactor=self.reactor,
            members=tuple(self.members.values()),
            boot_id=boot_id(),
            stage=self.page.stage,
            emit=self.events.append,
            publish=lambda status: setattr(self, "published", status),
            member_address=self.addresses.get,
            fenced=pytest.fail,
        )

    def until(self, is_so: Callable[[], bool]) -> None:
        """Run the loop until something is so."""
        late: list[None] = []

        def look() -> None:
            if is_so() or late:
                self.reactor.stop()
            else:
                self.reactor.call_later(0.005, look)

        timer = self.reactor.call_later(PATIENCE_S, lambda: late.append(None))
        self.reactor.call_soon(look)
        self.reactor.run()
        timer.cancel()
        assert not late, f"it never came; events: {[event.code for event in self.events]}"

    def shown(self) -> tuple[MemberStatus, ...]:
        return self.published.members

    def states(self) -> dict[str, str]:
        return {replica.name: replica.state for replica in self.shown()}

    def accepted(self) -> int:
        """Return how often the first replica was connected to."""
        return self.processes["replica-1"]._connection_number

    def heads(self) -> set[bytes]:
        return {(member.folder / "head-000.img").read_bytes() for member in self.members.values()}
