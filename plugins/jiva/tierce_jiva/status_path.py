"""BLOCK_STATUS: which parts of a volume hold data, asked of one replica that may be read.

Data may be told anywhere; a hole only where whatever may be read is zeroes. So nothing waits here
for writes, however long the extent is. What may be otherwise elsewhere, or soon, is told as data:

- where something that changes bytes is pending or under way: the replica may have taken a discard
  that another one has not, and what is read may come from that one;
- what may differ between the members, or is in doubt on the replica that was asked, now or when it
  was asked: it may have looked before that was mended, and told of it afterwards;
- what came to be so since it was asked: then all of its answer is worth nothing.

What was acknowledged before the question had been applied by every replica that may be asked, and
shows. Where nobody can tell, all is data: a question is never an error.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial

import attrs

from tierce import EXTENT_COUNT_MAX, GOOD, Completed, Extent, Request
from tierce_jiva.in_flight import InFlight
from tierce_jiva.links import Link, Links
from tierce_jiva.read_path import ReadPath
from tierce_jiva.regions import Extents
from tierce_jiva.target_actions import Agenda
from tierce_jiva.wire import STATUS_BYTES_MAX, Frame, Kind, check_found

#: First byte, and one past the last.
Span = tuple[int, int]

#: Beyond so many granules with writes in them, parted or not, all is told as data.
CHANGING_COUNT_MAX = 1024


@attrs.define(eq=False)
class _Call:
    """One BLOCK_STATUS on its way.

    Attributes:
        request: It.
        completed: Who is told.
        since: When it first came, in seconds.
        length: How much is asked about, in bytes.
        unrest: The number of `Links.unrest` when it was asked.
        in_question: What was in question when it was asked.
        tried: Bits of the links that could not tell.
    """

    request: Request
    completed: Completed
    since: float
    length: int
    unrest: int = 0
    in_question: list[Span] = attrs.field(factory=list)
    tried: int = 0


class StatusPath:
    """Questions under way.

    Args:
        links: The replicas.
        reads: Who may be read is who is asked.
        changing: What is to change, pending or under way.
        unequal: What may differ between the members.
        agenda: Where it says what has come of it.
    """

    def __init__(
        self,
        links: Links,
        reads: ReadPath,
        changing: tuple[InFlight, ...],
        unequal: Extents,
        agenda: Agenda,
    ) -> None:
        self._links = links
        self._reads = reads
        self._changing = changing
        self._unequal = unequal
        self._agenda = agenda
        self._turn = 0
        #: What replicas have not answered, in the order of asking.
        self._calls: dict[_Call, None] = {}

    def ask(self, request: Request, completed: Completed, since: float) -> None:
        """Ask; if there is nobody to be asked it has its status on return and is not answered.

        Args:
            request: The BLOCK_STATUS.
            completed: Who is told otherwise.
            since: When it first came, in seconds.
        """
        call = _Call(request, completed, since, min(request.length, STATUS_BYTES_MAX))
        if self._send(call):
            self._calls[call] = None
        else:
            _tell(request, None)

    def give_up(self, before: float) -> None:
        """Answer what came before that time and no replica has told of."""
        for call in [one for one in self._calls if one.since < before]:
            self._finish(call, None)

    def _send(self, call: _Call) -> bool:
        """Ask one that knows the question and was not tried; False if there is none."""
        able = [
            link
            for link in self._reads.sources
            if link.is_ready and link.knows_status and not link.bit & call.tried
        ]
        if not able:
            return False
        self._turn += 1
        link = able[self._turn % len(able)]
        call.unrest = self._links.unrest.number
        extent = (call.request.offset, call.length)
        call.in_question = self._in_question(link, *extent)
        answered = partial(self._answered, call, link)
        self._links.ask_extents(link, Kind.STATUS, [extent], answered)
        return True

    def _answered(self, call: _Call, link: Link, frame: Frame | None) -> None:
        if call not in self._calls:
            return  # Given up.
        if frame is not None and frame.kind is Kind.ACK:
            call.tried |= link.bit
        elif frame is not None:
            found = check_found(frame, call.request.offset, call.length)
            if link in self._reads.sources:
                self._finish(call, self._certain(call, link, found))
                return
        if not self._send(call):
            self._finish(call, None)

    def _finish(self, call: _Call, found: tuple[Extent, ...] | None) -> None:
        del self._calls[call]
        _tell(call.request, found)
        self._agenda.complete([call.request], call.completed)

    def _certain(
        self, call: _Call, link: Link, found: tuple[Extent, ...]
    ) -> tuple[Extent, ...] | None:
        """Return what a replica has told of with what is not certain as data; None for all."""
        offset = call.request.offset
        length = found[-1].offset + found[-1].length - offset
        if self._links.unrest.has_touched(call.unrest, offset, length):
            return None
        if sum(len(changing.granules) for changing in self._changing) > CHANGING_COUNT_MAX:
            return None
        spans = call.in_question + self._in_question(link, offset, length)
        for changing in self._changing:
            spans += changing.spans(offset, length)
        return cover(found, sorted(spans)) if spans else found

    def _in_question(self, link: Link, offset: int, length: int) -> list[Span]:
        """Return what may differ between the members, or is in doubt on this one."""
        return [*self._unequal.spans(offset, length), *link.doubt.spans(offset, length)]


def _tell(request: Request, found: tuple[Extent, ...] | None) -> None:
    request.extents = found or (Extent(request.offset, request.length, is_hole=False),)
    request.status = GOOD


def cover(found: tuple[Extent, ...], spans: list[Span]) -> tuple[Extent, ...]:
    """Return extents with every byte of the spans as data, at most EXTENT_COUNT_MAX of them.

    Args:
        found: Extents in order, without gaps, at least one.
        spans: By their first byte; they may overlap, and lie outside.
    """
    return tuple(itertools.islice(_covered(found, spans), EXTENT_COUNT_MAX))


def _covered(found: tuple[Extent, ...], spans: list[Span]) -> Iterator[Extent]:
    at, end = found[0].offset, found[-1].offset + found[-1].length
    for begin, stop in _holes(found, spans):
        if at < begin:
            yield Extent(at, begin - at, is_hole=False)
        yield Extent(begin, stop - begin, is_hole=True)
        at = stop
    if at < end:
        yield Extent(at, end - at, is_hole=False)


def _holes(found: tuple[Extent, ...], spans: list[Span]) -> Iterator[Span]:
    """Yield what the spans leave of the holes; every extent and every span is looked at once."""
    index = at = 0
    for extent in found:
        if not extent.is_hole:
            continue
        at, stop = max(at, extent.offset), extent.offset + extent.length
        while at < stop:
            if index < len(spans) and spans[index][0] <= at:
                at = max(at, spans[index][1])
                index += 1
                continue
            end = min(stop, spans[index][0]) if index < len(spans) else stop
            yield at, end
            at = end
