"""Making one extent equal on several replicas: digest, copy where it differs, digest again.

The caller sees to it that no write to the extent is under way from before `start` until `done`.
So the digests of all replicas are taken at one point of the write order, and they prove what the
copy claims: 128 bits of BLAKE2b, not the CRC that only finds decay.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from functools import partial

from tierce import Code, Op, Request
from tierce_jiva.batch import encode_batch
from tierce_jiva.digests import zero_digest
from tierce_jiva.findings import CopyEnded, Trouble
from tierce_jiva.links import Link, Links
from tierce_jiva.regions import EXTENT_SHIFT
from tierce_jiva.target_actions import Agenda
from tierce_jiva.unflushed import Unflushed
from tierce_jiva.wire import DIGEST_BYTES, Frame, Kind, check_data, decode_failures

#: What is discarded rather than written if it is all zeroes: a block of the usual file systems.
_BLOCK_BYTES = 4096
_ZEROES = bytes(_BLOCK_BYTES)


class ExtentCopy:
    """One extent on its way to being equal.

    Args:
        links: The replicas.
        source: Whose bytes stand.
        targets: Whose bytes are made equal to them, each with True if it is to be written without
            comparing first: a digest of what its cache holds proves nothing about its disk. The
            source may be one of them.
        offset: First byte.
        length: Bytes.
        unflushed: Where what is written is noted, before it is: a flush that is to cover it must
            begin later. None for targets that are no members: what is copied to one alone is its
            own affair.
        agenda: Where it says, once, that it has ended.
    """

    def __init__(
        self,
        links: Links,
        source: Link,
        targets: Mapping[Link, bool],
        offset: int,
        length: int,
        *,
        unflushed: Unflushed | None,
        agenda: Agenda,
    ) -> None:
        self._links = links
        self.extent = offset >> EXTENT_SHIFT
        self.source = source
        self.targets = targets
        self._extent = (offset, length)
        self._unflushed = unflushed
        self._agenda = agenda
        self._is_over = False
        self._digests: dict[Link, bytes] = {}
        self._wanted = b""
        self._differ: list[Link] = []
        self._awaited = 0
        self.copied_bytes = 0

    def start(self) -> None:
        """Begin."""
        compared = [link for link, always in self.targets.items() if not always]
        asked = [self.source, *(link for link in compared if link is not self.source)]
        self._awaited = len(asked)
        for link in asked:
            self._ask_digest(link, self._compare)

    def abandon(self) -> None:
        """Copy nothing any more, whatever is still answered; that it has ended is not said."""
        self._is_over = True

    def _ask_digest(self, link: Link, then: Callable[[], None]) -> None:
        self._links.ask_extents(
            link, Kind.DIGEST, [self._extent], partial(self._digested, link, then)
        )

    def _digested(self, link: Link, then: Callable[[], None], frame: Frame | None) -> None:
        if self._is_over:
            return
        if frame is not None and frame.kind is Kind.DIGESTS and frame.count == 1:
            self._digests[link] = bytes(frame.table[:DIGEST_BYTES])
        elif frame is None or link is self.source or self._differ:
            # A target that can't read what it is to be given yet is simply different.
            self._end(link, "can't digest", frame)
            return
        self._awaited -= 1
        if not self._awaited:
            then()

    def _compare(self) -> None:
        wanted = self._wanted = self._digests[self.source]
        self._differ = [
            link
            for link, always in self.targets.items()
            if always or self._digests.get(link) != wanted
        ]
        if not self._differ:
            self._succeed()
        elif wanted == zero_digest(self._extent[1]):
            self._write([Request(Op.DISCARD, *self._extent)])  # A hole stays a hole.
        else:
            self._links.ask_extents(self.source, Kind.READ, [self._extent], self._copy)

    def _copy(self, frame: Frame | None) -> None:
        if self._is_over:
            return  # A copy that comes late would undo what was written since.
        offset = self._extent[0]
        if frame is None or frame.kind is not Kind.DATA:
            self._end(self.source, "can't read", frame)
            return
        (data,) = check_data(frame, [self._extent])
        self._write(split(offset, bytes(data)))

    def _write(self, requests: list[Request]) -> None:
        self.copied_bytes = self._extent[1]
        self._note_writing()
        self._awaited = len(self._differ)
        for link in list(self._differ):
            self._links.ask_acked(
                link,
                lambda number: encode_batch(self._links.ballot, number, requests),
                partial(self._written, link),
            )
            if self._is_over:
                return
            # Behind the copy on the same connection, so it digests what the copy left.
            self._ask_digest(link, self._prove)

    def _note_writing(self) -> None:
        if self._unflushed is not None:
            self._unflushed.add(*self._extent)
        else:
            for link in self._differ:
                link.copied.add(self.extent)

    def _written(self, link: Link, frame: Frame | None) -> None:
        if frame is None or frame.count:
            self._end(link, "can't write", frame)

    def _prove(self) -> None:
        for link in self._differ:
            if self._digests[link] != self._wanted:
                self._end(link, "holds other bytes after its copy in", None, is_lost=False)
                return
        self._succeed()

    def _succeed(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._agenda.findings.append(CopyEnded(self, None))

    def _end(self, link: Link, what: str, frame: Frame | None, is_lost: bool | None = None) -> None:
        if self._is_over:
            return
        self._is_over = True
        failures = decode_failures(frame) if frame is not None and frame.kind is Kind.ACK else []
        codes = {code for _, code in failures}
        is_full = Code.NO_SPACE in codes
        offset, length = self._extent
        reason = f"{link.name} {what} extent {offset}+{length}" + (
            ": its disk is full" if is_full else ""
        )
        lost = frame is None if is_lost is None else is_lost
        is_unread = Code.READ_ERROR in codes
        trouble = Trouble(link, reason, is_unread=is_unread, is_full=is_full, is_lost=lost)
        self._agenda.findings.append(CopyEnded(self, trouble))


def split(offset: int, data: bytes) -> list[Request]:
    """Return what makes an extent these bytes. Blocks of zeroes are discarded: holes take no space
    on the target either, and where its disk is full only what needs none can be copied."""
    requests: list[Request] = []
    blocks = range(0, len(data), _BLOCK_BYTES)
    for is_hole, run in itertools.groupby(blocks, key=lambda at: _is_zero(data, at)):
        first, *rest = run
        last = rest[-1] if rest else first
        length = min(last + _BLOCK_BYTES, len(data)) - first
        if is_hole:
            requests.append(Request(Op.DISCARD, offset + first, length))
        else:
            piece = memoryview(data)[first : first + length]
            requests.append(Request(Op.WRITE, offset + first, length, piece))
    return requests


def _is_zero(data: bytes, at: int) -> bool:
    block = data[at : at + _BLOCK_BYTES]
    return block == _ZEROES[: len(block)]
