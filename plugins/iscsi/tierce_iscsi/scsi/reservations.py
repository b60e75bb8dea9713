"""Who may do what with a logical unit, and how that changes (SPC-4 section 5.12).

**Saved first.** What a PERSISTENT RESERVE OUT changes is in force, told to others and answered only
when it is saved: a restart of the target must not lose a fence that somebody was told is up. The
command is pending meanwhile; those that come until then are dealt with together next, in order.
What can't be saved has not happened: the command fails and everything stays as it was.

**Whoever is aborted first loses.** PREEMPT AND ABORT is the last of those that are dealt with
together: what its losers sent behind it is aborted before its turn, and what is aborted before its
turn has not happened. So a PREEMPT AND ABORT waits only for commands older than itself, and two
nodes that preempt each other never wait for one another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import attrs

from tierce_iscsi.scsi.command import Nexus, Reply, check_condition
from tierce_iscsi.scsi.prout import Action, Change, Order
from tierce_iscsi.scsi.registrations import Access, Registrations
from tierce_iscsi.scsi.sense import (
    INTERNAL_TARGET_FAILURE,
    RESERVATION_CONFLICT,
    CheckConditionError,
)

#: Saves registrations over a restart of the target, then says why it could not, or "".
Save = Callable[[Registrations, Callable[[str], None]], None]
_Answer = Callable[[Change], None]
_CONFLICT = Reply(status=RESERVATION_CONFLICT)


@attrs.frozen
class _Asked:
    """An action that waits for its turn."""

    action: Action
    order: Order
    answer: _Answer
    is_aborted: Callable[[], bool]
    aborts: bool


@attrs.frozen
class _Ended:
    """An action that waits for what it changed to be saved."""

    answer: _Answer
    change: Change
    has_changed: bool


def save_nothing(_now: Registrations, saved: Callable[[str], None]) -> None:
    """Of a unit that has no place to save anything."""
    saved("")


class Reservations:
    """Who may do what with one logical unit.

    Args:
        now: What was saved.
        save: Saves a change.
        can_outlive_power: What is saved is as safe as the unit's bytes, so that APTPL may be
            promised.

    Attributes:
        now: What is in force.
        legacy: Who holds RESERVE(6), which no restart outlives.
        is_idle: True if nothing is reserved: looked at once for each batch of commands.
    """

    def __init__(
        self,
        now: Registrations | None = None,
        save: Save = save_nothing,
        *,
        can_outlive_power: bool = False,
    ) -> None:
        self.now = now or Registrations()
        self.can_outlive_power = can_outlive_power
        self.legacy: bytes | None = None
        self.is_idle = not self.now.is_reserved
        self._save = save
        self._is_saving = False
        self._waiting: deque[_Asked] = deque()

    def set_legacy(self, identity: bytes | None) -> None:
        """RESERVE(6) is held by this nexus, or by nobody, from now on."""
        self.legacy = identity
        self.is_idle = identity is None and not self.now.is_reserved

    def allows(self, nexus: Nexus, access: Access) -> bool:
        """True if the nexus may do this now."""
        if access is Access.ANY or self.is_idle:
            return True
        if self.legacy is not None:
            return self.legacy == nexus.initiator
        return access is Access.PERSISTENT or self.now.allows(nexus.initiator, access)

    def change(
        self,
        action: Action,
        order: Order,
        answer: _Answer,
        is_aborted: Callable[[], bool] = lambda: False,
        *,
        aborts: bool = False,
    ) -> None:
        """Do an action after those that wait.

        Args:
            action: What it makes of the registrations.
            order: What the command says.
            answer: Called with the change when it is saved.
            is_aborted: True if the command is aborted: then the action is not done any more.
            aborts: `answer` aborts commands of others, perhaps some that wait here.
        """
        self._waiting.append(_Asked(action, order, answer, is_aborted, aborts))
        self._go_on()

    def _go_on(self) -> None:
        while self._waiting and not self._is_saving:
            ended: list[_Ended] = []
            draft = self.now
            while self._waiting:
                asked = self._waiting.popleft()
                fresh, change = self._try(asked, draft)
                ended.append(_Ended(asked.answer, change, has_changed=fresh != draft))
                draft = fresh
                if asked.aborts:
                    break
            if draft == self.now:
                self._end(ended)
            else:
                self._is_saving = True
                self._save_draft(draft, ended)

    def _try(self, asked: _Asked, draft: Registrations) -> tuple[Registrations, Change]:
        """Return what an action makes of `draft`, which stays as it is if the action fails."""
        if asked.is_aborted():
            # Whoever is told anything is told of the abort.
            return draft, Change()
        if self.legacy not in {None, asked.order.identity}:
            return draft, Change(_CONFLICT)
        fresh = draft.copy()
        try:
            return fresh, asked.action(fresh, asked.order)
        except CheckConditionError as error:
            return draft, Change(check_condition(error.sense))

    def _save_draft(self, draft: Registrations, ended: list[_Ended]) -> None:
        def saved(failure: str) -> None:
            self._is_saving = False
            if failure:
                refusal = Change(check_condition(INTERNAL_TARGET_FAILURE))
                self._end([attrs.evolve(e, change=refusal) if e.has_changed else e for e in ended])
            else:
                self.now = draft
                self.set_legacy(self.legacy)
                self._end(ended)
            self._go_on()

        self._save(draft, saved)

    def _end(self, ended: list[_Ended]) -> None:
        for one in ended:
            one.answer(one.change)
