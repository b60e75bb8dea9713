"""What is around the state machines in both clusters: who does what they ask for.

`Cluster` is carried by the test's hand, hop by hop, over bytes; the `World` of the simulation by
chance and time, over versions of blocks. When something happens, and to which disk, is theirs; what
is done with an action, and what the state machine is told then, is written here alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from tierce import Event, Extent, VolumeStatus
from tierce_jiva import replica_actions as of_replica
from tierce_jiva import target_actions as of_target
from tierce_jiva.links import Head
from tierce_jiva.replica import Replica


class Medium(Protocol):
    """The disk below a replica, as its worker threads see it."""

    def read(self, offset: int, buffer: memoryview) -> None: ...

    def digest(self, offset: int, length: int) -> bytes: ...

    def find_extents(self, offset: int, length: int) -> list[Extent]: ...

    def reopen(self) -> None: ...


class ReplicaShell(ABC):
    """The process of a replica."""

    replica: Replica

    # -- what its world does -----------------------------------------------------------------------

    @property
    @abstractmethod
    def medium(self) -> Medium: ...

    @property
    @abstractmethod
    def is_running(self) -> bool:
        """False once it has ended: what else it asked for is not done."""

    @abstractmethod
    def send(self, action: of_replica.Send) -> None: ...

    @abstractmethod
    def hang_up(self, action: of_replica.Hangup) -> None: ...

    @abstractmethod
    def hold(self, action: of_replica.Pause | of_replica.Resume) -> None: ...

    @abstractmethod
    def report(self, action: of_replica.Report) -> None: ...

    @abstractmethod
    def log(self, action: of_replica.Log) -> None: ...

    @abstractmethod
    def stop(self, action: of_replica.Stop) -> None: ...

    @abstractmethod
    def at_work(self, action: of_replica.Action, work: Callable[[], None]) -> None:
        """Have a worker thread do it, some time."""

    @abstractmethod
    def when_told(self, action: of_replica.Action, tell: Callable[[], None]) -> None:
        """A worker has read what it was to read; have the replica told."""

    @abstractmethod
    def save(self, action: of_replica.Save) -> str:
        """Replace the record; return what that failed with, or nothing."""

    @abstractmethod
    def begin_sync(self) -> Callable[[], OSError | None]:
        """Begin a sync; return what makes durable what is there by now, and returns what that
        failed with."""

    # -- what is done everywhere -------------------------------------------------------------------

    def carry_out(self, actions: Sequence[of_replica.Action]) -> None:
        """Do what the replica asks for, or begin it."""
        for action in actions:
            if not self.is_running:
                return
            match action:
                case of_replica.Send():
                    self.send(action)
                case of_replica.Hangup():
                    self.hang_up(action)
                case of_replica.Pause() | of_replica.Resume():
                    self.hold(action)
                case of_replica.Report():
                    self.report(action)
                case of_replica.Log():
                    self.log(action)
                case of_replica.Stop():
                    self.stop(action)
                case _:
                    self.at_work(action, self._work(action))

    def _work(self, action: of_replica.Action) -> Callable[[], None]:
        """Return what a worker thread does, and what the replica is told then."""
        match action:
            case of_replica.Save():
                return partial(self._save, action)
            case of_replica.Sync():
                return partial(self._sync, self.begin_sync())
            case of_replica.Fetch():
                return partial(self._fetch, action)
            case of_replica.DigestExtents():
                return partial(self._digest, action)
            case of_replica.FindExtents():
                return partial(self._find, action)
            case of_replica.Reopen():
                return partial(self._reopen, action)
        raise AssertionError(f"nobody does {action}")

    def _save(self, action: of_replica.Save) -> None:
        failure = self.save(action)
        replica = self.replica
        self.carry_out(replica.save_failed(failure) if failure else replica.saved())

    def _sync(self, end: Callable[[], OSError | None]) -> None:
        self.carry_out(self.replica.synced(end()))

    def _fetch(self, action: of_replica.Fetch) -> None:
        view, position, error = memoryview(action.buffer), 0, None
        try:
            for offset, length in action.extents:
                self.medium.read(offset, view[position : position + length])
                position += length
        except OSError as caught:
            error = caught
        self.when_told(action, lambda: self.carry_out(self.replica.fetched(action, error)))

    def _digest(self, action: of_replica.DigestExtents) -> None:
        digests, error = list[bytes](), None
        try:
            digests = [self.medium.digest(offset, length) for offset, length in action.extents]
        except OSError as caught:
            error = caught
        self.carry_out(self.replica.digested(action, [] if error else digests, error))

    def _find(self, action: of_replica.FindExtents) -> None:
        found, error = list[Extent](), None
        try:
            found = self.medium.find_extents(action.offset, action.length)
        except OSError as caught:
            error = caught
        self.when_told(action, lambda: self.carry_out(self.replica.found(action, found, error)))

    def _reopen(self, action: of_replica.Reopen) -> None:
        self.reopen()
        self.carry_out(self.replica.reopened(action, None))

    def reopen(self) -> None:
        """Open the file anew."""
        self.medium.reopen()


class TargetShell(ABC):
    """The process of a target."""

    @abstractmethod
    def report(self, event: Event) -> None: ...

    @abstractmethod
    def publish(self, shown: VolumeStatus) -> None: ...

    @abstractmethod
    def hang_up(self, action: of_target.Hangup) -> None: ...

    @abstractmethod
    def read_file(self, action: of_target.ReadFile) -> None: ...

    @abstractmethod
    def forget_file(self, head: Head) -> None: ...

    @abstractmethod
    def fence(self, reason: str) -> None: ...

    @abstractmethod
    def restart(self, reason: str) -> None: ...

    @abstractmethod
    def ended(self) -> None:
        """It has closed in order."""

    def act(self, agenda: of_target.Agenda) -> None:
        """Do what the replicator asks for."""
        for action in agenda.take_actions():
            match action:
                case of_target.Report():
                    self.report(action.event)
                case of_target.Publish():
                    self.publish(action.shown)
                case of_target.Hangup():
                    self.hang_up(action)
                case of_target.ReadFile():
                    self.read_file(action)
                case of_target.ForgetFile():
                    self.forget_file(action.head)
                case of_target.Fence():
                    self.fence(action.reason)
                case of_target.Restart():
                    self.restart(action.reason)
                case of_target.End():
                    self.ended()
