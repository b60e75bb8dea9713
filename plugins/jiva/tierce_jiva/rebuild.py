"""How a replica that is not in the in-sync set earns its place.

It is marked, then takes every live write; extent by extent what differs from a member is copied
and proved by digest, while writes to that extent wait; a flush begun after the last copy completes,
and every write since then waits for this replica too. Then it is proposed as a member. A failure
anywhere, or a block that is wrong after its copy, means that it is not let in; it may try again
later, and goes on where it stopped.

What there is to compare lies in `Link.missed`: the whole volume, or only the regions that were
marked since it was last equal, where this target has seen that.
"""

from __future__ import annotations

from collections.abc import Callable

from tierce_jiva.extent_copy import ExtentCopy
from tierce_jiva.findings import Copy, CopyFailed, NotRebuilt, Proved, Trouble
from tierce_jiva.in_flight import InFlight
from tierce_jiva.links import Link, Links
from tierce_jiva.marks import Marks
from tierce_jiva.read_path import ReadPath
from tierce_jiva.regions import Extents
from tierce_jiva.target_actions import Agenda
from tierce_jiva.unflushed import Unflushed
from tierce_jiva.wire import Frame

#: It is marked this many regions ahead of what is compared: few orders, and little in doubt if
#: its process ends meanwhile.
_AHEAD = 32
#: It flushes whenever so much was copied to it, or so many granules were written by others since.
FLUSH_BYTES = 64 << 20
FLUSH_COUNT = 16384
#: Progress is shown in steps of this many extents.
_SHOW_COUNT = 32


class Rebuild:
    """One replica being rebuilt.

    Args:
        links: The replicas.
        link: The one that is rebuilt; ready.
        marks: The marks.
        unflushed: The account of what is not flushed.
        reads: Who may be read is who may be copied from.
        unequal: Extents that are not equal on the members themselves yet.
        locked: Extents that writes must not enter: shared with who admits them. A write that was
            admitted before is ahead of the copy on every connection, and so needs no waiting for.
        agenda: Where it says what has come of it.
        window: Extents under way at once.
    """

    def __init__(
        self,
        links: Links,
        link: Link,
        marks: Marks,
        unflushed: Unflushed,
        reads: ReadPath,
        unequal: Extents,
        locked: InFlight,
        agenda: Agenda,
        *,
        window: int,
    ) -> None:
        self.link = link
        self.began = links.now
        self.copied_bytes = 0
        self.done_count = 0
        self.extent_count = len(link.missed)
        self._links = links
        self._marks = marks
        self._unflushed = unflushed
        self._reads = reads
        self._unequal = unequal
        self._locked = locked
        self._agenda = agenda
        self._window = window
        self._copying: dict[int, ExtentCopy] = {}
        #: Regions that it is marked in.
        self._marked: frozenset[int] = frozenset()
        self._is_marking = False
        #: It is marked: every write goes to it too, and waits for it.
        self.has_joined = False
        #: Every flush goes to it too.
        self.is_finishing = False
        #: Copied since the last flush on the way began; whether one is under way.
        self._unflushed_bytes = 0
        self._is_flushing = False
        #: What was copied before the flush under way.
        self._flushing = Extents(links.regions)
        #: Nothing is to be copied any more; nothing that is still asked is waited for any more.
        self._is_over = False
        self._is_stopped = False

    def start(self) -> None:
        """Begin."""
        if self.link.must_reopen:
            self._ask({"kind": "renew"}, "renewed", self._reopened)
        else:
            self._mark_more()

    def advance(self) -> None:
        """Begin what can be begun; called when something has changed, and on every tick."""
        if not self._is_over and self.has_joined:
            self._fill()

    def stop(self) -> None:
        """Give up without a word: its link was lost, or it is not needed any more."""
        self._is_over = True
        self._is_stopped = True
        for extent, copy in self._copying.items():
            copy.abandon()
            self._locked.remove(*self._links.regions.bounds(extent))
        self._copying.clear()
        self.link.copied.update(self._flushing)

    def fail(self, reason: str) -> None:
        """Give up and say why."""
        if not self._is_over:
            self.stop()
            self._agenda.findings.append(NotRebuilt(self.link, reason))

    @property
    def progress(self) -> float:
        """The share of what there is to compare that is done, 0 to 1."""
        return self.done_count / self.extent_count if self.extent_count else 1.0

    def _reopened(self) -> None:
        self.link.must_reopen = False
        self._mark_more()

    def _mark_more(self) -> None:
        """Mark it in the next regions that are to be compared."""
        ahead = sorted(self.link.missed.regions() - self._marked)[:_AHEAD]
        wanted = self._marked | frozenset(ahead)

        def marked() -> None:
            if self._is_over:
                return
            self._is_marking = False
            self._marked = wanted
            if not self.has_joined:
                self._join()
            self._fill()

        self._is_marking = True
        self._marks.keep(self.link, frozenset(ahead), marked)

    def _join(self) -> None:
        self.has_joined = True
        # What is written from now on goes to it, and is not flushed there.
        self.link.flushed_epoch = self._unflushed.begin_flush()
        self.link.is_current = True
        self._agenda.must_refresh = True

    def _fill(self) -> None:
        written_count = self._unflushed.count_ended(self.link.flushed_epoch)
        if self._unflushed_bytes >= FLUSH_BYTES or written_count > FLUSH_COUNT:
            if self._is_flushing:
                return  # Its disk is behind.
            self._flush_on_the_way()
        region_of, is_marked = self._links.regions.region_of, True
        source = self._reads.source()
        # What a cache may let go of before it was written again is not what will be read there.
        in_doubt = () if source is None else source.doubt
        for extent in self.link.missed.first(2 * self._window):
            if extent in self._copying or extent in in_doubt or extent in self._unequal:
                continue
            if len(self._copying) >= self._window or self._is_over:
                return
            is_marked = region_of(extent) in self._marked
            if not is_marked:
                break
            self._begin(extent)
        if not is_marked and not self._is_marking:
            self._mark_more()
        elif not (self.link.missed or self._copying or self._is_over or self._is_flushing):
            self._finish()

    def _begin(self, extent: int) -> None:
        source = self._reads.source()
        if source is None:
            self.fail("no member is there to copy from")
            return
        offset, length = self._links.regions.bounds(extent)
        self._locked.add(offset, length)
        copy = ExtentCopy(
            self._links,
            source,
            {self.link: extent in self.link.doubt},
            offset,
            length,
            unflushed=None,
            agenda=self._agenda,
        )
        self._copying[extent] = copy
        copy.start()

    def ended(self, copy: Copy, trouble: Trouble | None) -> None:
        """A copy has ended; nothing if it is none of these."""
        extent = copy.extent
        found = self._copying.get(extent)
        if found is None or found is not copy:
            return
        if trouble is not None:
            if trouble.link is not self.link and not trouble.is_lost:
                self._agenda.findings.append(CopyFailed(trouble))
            self.fail(trouble.reason)
            return
        del self._copying[extent]
        self._locked.remove(*self._links.regions.bounds(extent))
        self.link.missed.discard(extent)
        self.link.doubt.discard(extent)
        self.done_count += 1
        self.copied_bytes += found.copied_bytes
        self._unflushed_bytes += found.copied_bytes
        self._agenda.may_admit = True
        if self.done_count % _SHOW_COUNT == 0:
            self._agenda.must_show = True
        self._fill()

    def _flush_on_the_way(self) -> None:
        """Let its disk keep up, so that the last flush has little to do and little is in doubt if
        its process ends meanwhile."""
        self._is_flushing, self._unflushed_bytes = True, 0

        def flushed() -> None:
            self._is_flushing = False
            self._fill()

        self._flush(flushed)

    def _finish(self) -> None:
        """Every flush and every mark waits for it from now on; then prove that it can flush."""
        self._is_over = True
        self.is_finishing = True
        self._agenda.must_refresh = True
        self._marks.keep(self.link, frozenset(), lambda: self._flush(self._prove))

    def _flush(self, then: Callable[[], None]) -> None:
        if self._is_stopped:
            return
        epoch = self._unflushed.begin_flush()
        self._flushing, self.link.copied = self.link.copied, Extents(self._links.regions)

        def flushed(frame: Frame | None) -> None:
            if self._is_stopped:
                return
            if frame is None or frame.count:
                self._flush_failed(is_lost=frame is None)
                return
            self.link.flushed_epoch = epoch
            self._flushing.clear()
            then()

        self._links.ask_flush(self.link, flushed)

    def _flush_failed(self, *, is_lost: bool) -> None:
        """All that it has not flushed is to be written to it again."""
        link = self.link
        if not is_lost:
            link.must_reopen = True
            link.copied.update(self._flushing)
            link.copied.update(self._unflushed.since(link.flushed_epoch))
            link.missed.update(link.copied)
            link.doubt.update(link.copied)
        self._is_over = False
        self.fail(f"{link.name} can't flush what was copied to it")

    def _prove(self) -> None:
        def redone(is_done: bool) -> None:
            if self._is_stopped:
                return
            if is_done:
                self._agenda.findings.append(Proved(self.link))
            else:
                self._is_over = False
                self.fail(f"{self.link.name} failed a flush again")

        self._links.ask_redone(self.link, redone)

    def _ask(self, message: dict[str, object], reply: str, then: Callable[[], None]) -> None:
        def answered(is_done: bool) -> None:
            if self._is_over:
                return
            if is_done:
                then()
            else:
                self.fail(f"{self.link.name} was lost")

        self._links.ask_control(self.link, message, reply, answered)
