"""Write-intent marks: durable on every in-sync replica before the first write to a region may be
applied, and gone only after a flush of everything that was written there.

An order about marks says which regions all are to hold; it is numbered, and carries the number
of the last one that is durable on all. One order is under way at a time: what is wanted meanwhile
goes into the next, so that many first writes share one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from tierce_jiva.ballot import Order
from tierce_jiva.findings import Cleared
from tierce_jiva.links import Link, Links
from tierce_jiva.target_actions import Agenda


class Marks:
    """Which regions are to be marked, and on whom they are.

    Args:
        links: The replicas.
        agenda: Where it says that other regions may be written.
    """

    def __init__(self, links: Links, agenda: Agenda) -> None:
        self._links = links
        self._agenda = agenda
        #: What all are to hold.
        self.common: frozenset[int] = frozenset()
        #: The regions that are marked on every required replica: those that may be written.
        self.writable: frozenset[int] = frozenset()
        self.order = 0
        #: What was marked since `Cleaning` last asked.
        self.recent: set[int] = set()
        self._wanted: set[int] = set()
        #: What the last order that added any has added, and its number.
        self._adding: frozenset[int] = frozenset()
        self._adding_order = 0
        self._required: tuple[Link, ...] = ()
        self._targets: tuple[Link, ...] = ()
        self._is_clearing = False

    def begin(self, regions: Iterable[int]) -> None:
        """Begin with what an opening has found to be marked."""
        self.common = frozenset(regions)

    def use(self, required: Iterable[Link], targets: Iterable[Link]) -> None:
        """Hold marks on these from now on; writes wait for the required ones."""
        self._required, self._targets = tuple(required), tuple(targets)
        if self.order:
            for link in self._targets:
                if link.is_ready and link.asked_order < self.order:
                    self._send(link)
        self._weigh()
        self._advance()

    def want(self, regions: Iterable[int]) -> None:
        """Mark these too, as soon as that is possible."""
        self._wanted.update(regions)
        self._advance()

    def keep(self, link: Link, regions: frozenset[int], done: Callable[[], None]) -> None:
        """Let one replica hold marks of these beside what all hold; `done` when it does.

        Not called if the link is lost before.
        """
        link.kept |= regions
        if not self.order:
            self._give_order()
        self._send(link, done)

    def let_in(self, link: Link) -> None:
        """It is equal and has flushed: the marks that it alone was to hold may go."""
        if link.kept:
            link.kept = frozenset()
            if link.is_ready:
                self._send(link)

    def may_write(self, offset: int, length: int) -> bool:
        """True if these bytes are marked everywhere; if not, that is seen to."""
        regions = self._links.regions.covering(offset, length)
        if self.writable.issuperset(regions):
            return True
        self.want(regions)
        return False

    def clear(self, regions: Iterable[int], *, is_last: bool = False) -> None:
        """Take marks away; if that is the last that is asked for, it is said when all have
        answered, or are lost."""
        # What is being marked is waited for.
        is_adding = any(link.order < self._adding_order for link in self._required)
        gone = frozenset(regions).difference(self._wanted, self._adding if is_adding else ())
        self.common -= gone
        for link in self._links:
            link.held -= gone
            if link in self._targets and link not in self._required:
                # It is rebuilt: what was written there it need not have flushed.
                link.kept |= gone
        self._is_clearing = is_last
        self._give_order()

    def lost(self, link: Link) -> None:
        """A link was lost: it will be told anew."""
        self._weigh()
        if self._is_clearing and not link.is_ready:
            self._finish_clearing()

    @property
    def is_pending(self) -> bool:
        """True while an order is not carried out by every required replica."""
        return any(link.order < self.order for link in self._required)

    @property
    def settled(self) -> int:
        """The number of the last order that is durable on every required replica."""
        return min((link.order for link in self._required), default=0)

    def _advance(self) -> None:
        if not self._required or not self._wanted:
            return
        if self._wanted <= self.common and self.order:
            self._wanted.clear()  # On their way already.
        elif all(link.order == self.order for link in self._required):
            self.common |= self._wanted
            self.recent |= self._wanted
            self._adding, self._adding_order = frozenset(self._wanted), self.order + 1
            for link in self._links:
                if link not in self._targets:
                    # What is written there from now on it does not get.
                    link.missed.add_regions(self._wanted)
            self._wanted.clear()
            self._give_order()

    def _give_order(self) -> None:
        settled = self.settled
        self.order += 1
        for link in self._targets:
            if link.is_ready:
                self._send(link, settled=settled)
        self._weigh()

    def _send(
        self, link: Link, done: Callable[[], None] | None = None, settled: int | None = None
    ) -> None:
        message = {
            "kind": "mark",
            "order": self.order,
            "settled": self.settled if settled is None else settled,
            "marks": self._links.regions.to_hex(self.common | link.kept),
        }
        link.asked_order = self.order
        answered = partial(self._answered, link, self.order, self.common, done)
        self._links.ask_control(link, message, "marked", answered)

    def _answered(
        self,
        link: Link,
        order: int,
        held: frozenset[int],
        done: Callable[[], None] | None,
        is_marked: bool,
    ) -> None:
        # A call ends with its connection: what comes is of this one.
        if not is_marked:
            return
        link.order, link.held = order, held
        link.answered = max(link.answered, Order(self._links.ballot, order))
        self._weigh()
        if self._is_clearing:
            self._finish_clearing()
        self._advance()
        if done is not None:
            done()

    def _weigh(self) -> None:
        """Find out what may be written: what is being cleared may not be any more."""
        held = [link.held for link in self._required]
        writable = self.common.intersection(*held) if held else frozenset()
        if writable != self.writable:
            self.writable = writable
            self._agenda.may_admit = True

    def _finish_clearing(self) -> None:
        if all(link.order == self.order or not link.is_ready for link in self._required):
            self._is_clearing = False
            self._agenda.findings.append(Cleared())
