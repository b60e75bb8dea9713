"""A replica's record in memory and on its way to the disk: what it says is durable before anyone
learns of it. Saves follow one another; what changes meanwhile goes into the next one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from tierce_jiva.ballot import Ballot, Record
from tierce_jiva.replica_actions import Action, Save


class RecordKeeper:
    """The record.

    Args:
        record: As it was read.
        actions: Where a save is asked for.
    """

    def __init__(self, record: Record, actions: list[Action]) -> None:
        self.record = record
        #: As of the last save that has begun.
        self.begun = record
        self._actions = actions
        #: What waits for the save under way, and for the next one.
        self._saving: list[Callable[[], None]] | None = None
        self._to_save: list[Callable[[], None]] = []

    @property
    def promised(self) -> Ballot:
        """The highest ballot that was promised."""
        return self.record.promised

    @property
    def is_saving(self) -> bool:
        """True while what was changed last may not be durable."""
        return self._saving is not None

    def change(self, **changes: Any) -> None:
        """Change the record in memory: it holds at once."""
        self.record = attrs.evolve(self.record, **changes)

    def replace(self, record: Record) -> None:
        """Take another record into memory: it holds at once."""
        self.record = record

    def then(self, answer: Callable[[], None]) -> None:
        """Make the record durable, as it is now or later, then call `answer`."""
        self._to_save.append(answer)
        if self._saving is None:
            self._begin()

    def saved(self) -> None:
        """The last save is durable."""
        assert self._saving is not None
        done, self._saving = self._saving, None
        for answer in done:
            answer()
        if self._to_save and self._saving is None:
            self._begin()

    def _begin(self) -> None:
        self._saving, self._to_save = self._to_save, []
        self.begun = self.record
        self._actions.append(Save(self.record))
