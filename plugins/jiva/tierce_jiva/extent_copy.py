"""Making one extent equal on several replicas: digest, copy where it differs, digest again.

The caller sees to it that no write to the extent is under way from before `start` until `done`.
So the digests of all replicas are taken at one point of the write order, and they prove what the
copy claims: 128 bits of BLAKE2b, not the CRC that only finds decay.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tierce import Op, Request
from tierce_jiva.links import Link, Links
from tierce_jiva.wire import DIGEST_BYTES, Frame, Kind
from tierce_jiva.write_path import encode_batch


class ExtentCopy:
    """One extent on its way to being equal.

    Args:
        links: The replicas.
        source: Whose bytes stand.
        others: Whose bytes are made equal to them.
        offset: First byte.
        length: Bytes.
        always: Copy without comparing first: a digest of what the cache holds proves nothing
            about the disk after a failed fsync.
        done: Called once, with None, or with what went wrong: the extent is named where the copy
            did not take.
    """

    def __init__(
        self,
        links: Links,
        source: Link,
        others: tuple[Link, ...],
        offset: int,
        length: int,
        *,
        always: bool,
        done: Callable[[str | None], None],
    ) -> None:
        self._links = links
        self._source = source
        self._others = others
        self._extent = (offset, length)
        self._always = always
        self._done: Callable[[str | None], None] | None = done
        self._digests: dict[str, bytes] = {}
        self._differ: list[Link] = []
        self._awaited = 0
        self.copied_bytes = 0

    def start(self) -> None:
        """Begin."""
        asked = [self._source, *(() if self._always else self._others)]
        self._awaited = len(asked)
        for link in asked:
            self._ask_digest(link, self._compare)

    def abandon(self) -> None:
        """Copy nothing any more, whatever is still answered; `done` is not called."""
        self._done = None

    def _ask_digest(self, link: Link, then: Callable[[], None]) -> None:
        self._links.ask_extents(
            link, Kind.DIGEST, [self._extent], partial(self._digested, link, then)
        )

    def _digested(self, link: Link, then: Callable[[], None], frame: Frame | None) -> None:
        if self._done is None:
            return
        if frame is None or frame.kind is not Kind.DIGESTS or frame.count != 1:
            self._end(f"{link.name} can't digest extent {self._name()}")
            return
        self._digests[link.name] = bytes(frame.table[:DIGEST_BYTES])
        self._awaited -= 1
        if not self._awaited:
            then()

    def _compare(self) -> None:
        wanted = self._digests[self._source.name]
        self._differ = [link for link in self._others if self._digests.get(link.name) != wanted]
        if not self._differ:
            self._end(None)
            return
        self._links.ask_extents(self._source, Kind.READ, [self._extent], self._copy)

    def _copy(self, frame: Frame | None) -> None:
        if self._done is None:
            return  # A copy that comes late would undo what was written since.
        offset, length = self._extent
        if frame is None or frame.kind is not Kind.DATA or len(frame.payload) != length:
            self._end(f"{self._source.name} can't read extent {self._name()}")
            return
        data = bytes(frame.payload)
        # A hole stays a hole; what is damaged on the way fails the digest that follows.
        is_zero = data.count(0) == length
        op = Op.DISCARD if is_zero else Op.WRITE
        request = Request(op, offset, length, None if is_zero else memoryview(data))
        self.copied_bytes = length
        self._awaited = len(self._differ)
        for link in self._differ:
            self._digests.pop(link.name, None)
            self._links.ask_acked(
                link,
                lambda number: encode_batch(self._links, number, [request]),
                partial(self._written, link),
            )
            if self._done is None:
                return
            # Behind the copy on the same connection, so it digests what the copy left.
            self._ask_digest(link, self._prove)

    def _written(self, link: Link, frame: Frame | None) -> None:
        if frame is None or frame.count:
            self._end(f"{link.name} can't write extent {self._name()}: is its disk full?")

    def _prove(self) -> None:
        wanted = self._digests[self._source.name]
        for link in self._differ:
            if self._digests[link.name] != wanted:
                self._end(f"{link.name} holds other bytes in extent {self._name()} after its copy")
                return
        self._end(None)

    def _name(self) -> str:
        offset, length = self._extent
        return f"{offset}+{length}"

    def _end(self, trouble: str | None) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(trouble)
