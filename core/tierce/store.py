"""Stores: what keeps one replica's bytes, under a replicator that keeps several of them equal.

A store owns its bytes: nobody else makes, opens, measures or removes them, and nobody but the store
knows in which file they lie, or whether they lie in one. The replicator owns the folder, and files
of its own in it (`jiva`: volume.json, making.json, deleted.json, record.json, lock, and some of
these with `.new`); a store takes other names there, or another place altogether. The replica's
record, record.json, is not there where the store keeps it (`Store.open_record`).

On workers and the data thread calls may come at the same time. The replicator orders those that
touch the same bytes and must not meet; `read`, `digest` and `find_extents` may see a write that is
under way or not. Failures are OSErrors of the medium; ENOSPC and EDQUOT say that it is full. Any
other exception is a mistake of the store and ends the replica's process. A store that knows which
of the bytes can't be read says so by an `UnreadableError`.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs

from tierce.block.operation import Extent
from tierce.options import NoOptions
from tierce.record_place import RecordPlace
from tierce.store_capability import StoreExtras
from tierce.store_contexts import BatchEntry, StoreContext, StoreOpenContext
from tierce.store_opening import Opening

#: Digests of stores that differ in kind are compared with one another: BLAKE2b of this length.
_DIGEST_BYTES = 16
#: How much is read, or written with zeroes, at once.
_STEP_BYTES = 256 << 10


class Store(StoreExtras, abc.ABC):
    """The base class of stores. Offsets and lengths are bytes; buffers belong to the caller, and
    are not kept after the call. An OSError is the medium's failure; anything else is a mistake of
    the store, which is told by name and ends the replica's process.

    Since: contract 2.
    """

    # -- in whichever process ----------------------------------------------------------------------

    @classmethod
    @abc.abstractmethod
    def create(cls, context: StoreContext) -> None:
        """Make the bytes, all zeroes, in place of what a creation that was cut off has left. On
        return they survive loss of power.

        Raises:
            ConflictError: There are bytes of something else.
            OSError: They can't be made; `destroy` is called.

        Thread: work process.
        Blocking: yes, as long as it takes.
        Failure: the volume is not made.
        """

    @classmethod
    @abc.abstractmethod
    def destroy(cls, context: StoreContext) -> None:
        """Remove what `create` made, whole or in part, and nothing else; what is not there is
        success. On return that survives loss of power.

        Raises:
            OSError: It can't be removed now; it is called again.

        Thread: work process.
        Blocking: yes, as long as it takes.
        Failure: the removal waits and is tried again.
        """

    @classmethod
    def identify(cls, context: StoreContext) -> str:
        """Return which bytes they are, told apart from a copy that was put in their place: the
        inode number of their file and the time of its birth, `INODE:BIRTH`, or `INODE:` where that
        is not known. Empty: the store can't tell, so that a copy that was put back is believed.

        Raises:
            FormatError: They are not there.

        Thread: work process, and data thread when the store is open.
        Blocking: yes.
        Failure: the replica does not start.
        """
        del context
        return ""

    @classmethod
    def open_record(cls, context: StoreContext) -> RecordPlace | None:
        """Return where the replica's record lies, which need not hold one yet. It is opened when
        the store is open, and where the store is not opened at all: while a replica is made,
        removed, adopted or forced. None, without a method of the store's own: the replicator keeps
        the record in a file of its own in the folder.

        Raises:
            FormatError: The bytes are missing or damaged.
            OSError: It can't be opened.

        Thread: data thread, once; work process.
        Blocking: yes.
        Failure: the replica does not start; a making, a removal or an acceptance is refused.
        """
        del context
        return None

    @classmethod
    @abc.abstractmethod
    def open(cls, context: StoreOpenContext) -> Store | Opening[Any]:
        """Return the open store of what `create` made; or an `Opening`, where that takes its time:
        the replica says so meanwhile, its volume goes on with the others, and what takes longer
        than 10 s is told (`jiva.replica.opening`).

        Raises:
            FormatError: The bytes are missing, damaged, not as many as the volume's, or those of
                another volume or replica.
            OSError: They can't be opened.

        Thread: data thread, once.
        Blocking: briefly; what waits belongs into an `Opening`.
        Failure: the replica does not start; of an `Opening`, it ends and is started anew.
        """

    # -- in the replica's process ------------------------------------------------------------------

    def local_path(self) -> Path | None:
        """Return a file, as long as the volume, that holds every byte at its offset and may be
        read by another process of this machine while this one writes to it; None if there is no
        such file. It sees a write once that has returned. What is read from it is judged by the
        replicator's rules, as if `read` had returned it.

        Thread: data thread, once, after `open`.
        Blocking: yes, before anything is served.
        Failure: the replica does not start.
        """
        return None

    def check(self) -> None:
        """See that no bytes are missing.

        Raises:
            OSError: Some are: what would be read there as zeroes was something else.

        Thread: data thread, once a batch.
        Blocking: no.
        Failure: the replica stops and starts anew.
        """

    def admit(self, entries: Sequence[BatchEntry], ready: Callable[[OSError | None], None]) -> bool:
        """Say whether a batch may be carried out now. A store whose writes need what can't be had
        without waiting (space to lease, the rest of a block) overrides it; of one that does not,
        nothing is asked.

        Until `ready` is called, nothing more is taken from the target that sent the batch: what
        has come behind it, flushes too, waits in its order. A target that waits for longer than
        its replicas may be late votes this one out. A batch that was admitted may never be carried
        out: its target has gone, or another has come.

        Args:
            entries: What is to be done, in this order, by `write` and `discard`.
            ready: To be called once, on the data thread, if this returns False: with None, and the
                batch is carried out without being asked about again; or with what keeps it from
                it, and each of its entries fails so (ENOSPC, EDQUOT: it is full).

        Raises:
            OSError: As if `ready` had been called with it.

        Thread: data thread, once a batch.
        Blocking: no.
        Failure: the batch fails on this replica; as of `write`.
        """
        del entries, ready
        return True

    @abc.abstractmethod
    def write(self, offset: int, data: memoryview) -> None:
        """Store `data` at `offset`. On return `read` finds it, also after the end of this process
        by `kill -9`; loss of power it survives after the next `flush`.

        Thread: data thread.
        Blocking: no.
        Failure: the write fails on this replica, which is voted out, or is full (ENOSPC, EDQUOT).
        """

    def discard(self, offset: int, length: int) -> None:
        """Make the extent read as zeroes, and give its space back if the store can; as lasting as
        `write`. Without a method of the store's own zeroes are written.

        Thread: data thread.
        Blocking: no.
        Failure: as of `write`.
        """
        zeroes = memoryview(bytes(min(length, _STEP_BYTES)))
        for at in range(offset, offset + length, _STEP_BYTES):
            self.write(at, zeroes[: offset + length - at])

    def read_cached(self, offset: int, buffer: memoryview) -> bool:
        """Fill `buffer` if that does not wait; else return False, and `read` is called.

        Thread: data thread.
        Blocking: no.
        Failure: as of `read`.
        """
        del offset, buffer
        return False

    @abc.abstractmethod
    def read(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer`; what was never written is zeroes.

        Raises:
            UnreadableError: These extents can't be read: just they are written anew.
            OSError: Nothing of it can be told apart: all of it is.

        Thread: worker thread.
        Blocking: yes.
        Failure: another replica is read, and here it is written anew from there.
        """

    def digest(self, offset: int, length: int) -> bytes:
        """Return the extent's BLAKE2b, 16 bytes, without key or salt: replicas are compared by
        it. Without a method of the store's own the bytes are read.

        Thread: worker thread.
        Blocking: yes.
        Failure: as of `read`.
        """
        # Loaded here, so that `tierce --help` stays quick.
        from hashlib import blake2b  # noqa: PLC0415

        state = blake2b(digest_size=_DIGEST_BYTES)
        buffer = memoryview(bytearray(min(length, _STEP_BYTES)))
        for at in range(offset, offset + length, _STEP_BYTES):
            part = buffer[: offset + length - at]
            self.read(at, part)
            state.update(part)
        return state.digest()

    def find_extents(self, offset: int, length: int) -> list[Extent]:
        """Return which parts of the extent hold data, in order, without gaps, at least one and at
        most EXTENT_COUNT_MAX: they may end before it does. A hole reads as zeroes, and does so
        after a loss of power too. Without a method of the store's own all is data.

        Thread: worker thread.
        Blocking: yes.
        Failure: as of `read`.
        """
        return [Extent(offset, length, is_hole=False)]

    def write_checked(self, offset: int, data: memoryview, checks: memoryview) -> None:
        """As `write`, with the checksums that came with the bytes. Without a method of the store's
        own they are let go. No replicator calls it yet: frames carry no such checksums.

        Args:
            offset: First byte.
            data: The bytes.
            checks: The CRC32C of each piece of `data` that lies in one block of 4 KiB of the
                volume, in order: numbers of 32 bits, little-endian. They were held against `data`.

        Thread: data thread.
        Blocking: no.
        Failure: as of `write`.
        """
        del checks
        self.write(offset, data)

    @abc.abstractmethod
    def flush(self) -> None:
        """On return every write and discard that returned before survives loss of power. Once it
        has failed it fails until `reopen`: a second try would succeed and be a lie.

        Thread: worker thread; one at a time.
        Blocking: yes.
        Failure: what was written since the last one is in doubt until it is written again.
        """

    @abc.abstractmethod
    def reopen(self) -> None:
        """Forget a failed flush, so that what is written from now on can be flushed; what was
        written before it is written again by the replicator. Other calls may be under way.

        Thread: worker thread.
        Blocking: yes.
        Failure: the replica stops and starts anew.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Let the bytes go; there is no flush in it. No other call is under way.

        Thread: data thread, last.
        Blocking: briefly.
        Failure: the replica's process ends, told by name.
        """


@attrs.frozen
class StoreChoice:
    """The store that an engine pairs its replicator with.

    Attributes:
        name: Its name, as its description has it.
        kind: Its class.
        options: Its option class: of a volume that is adopted the defaults are all that is known.
    """

    name: str
    kind: type[Store]
    options: type[Any] = NoOptions
