"""How much memory the sessions of one target may use, and who gets it.

Each session has a little of its own, whatever the others do: `OWN_REGION_COUNT` regions in each
direction, and the buffers of one command at a time (tierce_iscsi.buffers). With that alone it gets
on, one thing after another. What makes it quick, more regions and more commands at once, it
borrows from what all sessions share. So what a target uses is bounded at every moment:

    `SHARED_BYTES` + sessions * (2 * `OWN_REGION_COUNT` regions + `OWN_COMMAND_BYTES`
                                 + what waits to be sent and is in no buffer)

and a session that holds what it has borrowed, because its initiator does not read or the medium is
slow, slows nobody down to less than his own. What may be borrowed is parted among those who are
here: with n sessions each may have the n-th part, at most `SESSION_SHARED_BYTES_MAX`.

Buffers that are not in use are kept for the next command, as what was borrowed; whoever finds too
little left takes those first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

#: What the sessions of a target share.
SHARED_BYTES = 256 << 20
#: What one of them may borrow of it: a full queue (128) of the largest commands that travel in one
#: PDU (256 KiB, three to a region of 1 MiB), and some more.
SESSION_SHARED_BYTES_MAX = 64 << 20

assert SESSION_SHARED_BYTES_MAX <= SHARED_BYTES


class SpareHolder(Protocol):
    """What holds spare buffers."""

    def drop_spares(self) -> None:
        """Give every borrowed one back that nothing is in."""
        ...


class Memory:
    """What the sessions of one target share.

    Args:
        soon: Calls a function once, when what runs now has returned.
        bytes_max: How much there is to borrow.
    """

    def __init__(
        self, soon: Callable[[Callable[[], None]], None], bytes_max: int = SHARED_BYTES
    ) -> None:
        self._soon = soon
        self.bytes_max = bytes_max
        self.left = bytes_max
        #: Of what is borrowed: in spare buffers.
        self.spare = 0
        self._accounts: dict[Account, None] = {}
        self._waiting: dict[Account, Callable[[], None]] = {}
        self._is_due = False

    @property
    def share(self) -> int:
        """What one session may borrow now."""
        return min(SESSION_SHARED_BYTES_MAX, self.bytes_max // max(1, len(self._accounts)))

    def open(self) -> Account:
        """A session begins."""
        account = Account(self)
        self._accounts[account] = None
        return account

    def close(self, account: Account) -> None:
        """A session is gone, and has given everything back."""
        assert account.used == 0, "its memory has been given back"
        self._accounts.pop(account, None)
        self._waiting.pop(account, None)
        self.changed()

    def reclaim(self, wanted: int) -> None:
        """Take spare buffers back until so much is left."""
        for account in list(self._accounts):
            if self.left >= wanted:
                return
            account.drop_spares()

    def wait(self, account: Account, retry: Callable[[], None]) -> None:
        """Call `retry` once, when something may have come back."""
        self._waiting[account] = retry

    def changed(self) -> None:
        """Something has come back: let those who wait try again, in the order of their waiting."""
        if self._waiting and not self._is_due:
            self._is_due = True
            self._soon(self._serve)

    def _serve(self) -> None:
        self._is_due = False
        waiting, self._waiting = self._waiting, {}
        for retry in waiting.values():
            self._soon(retry)


class Account:
    """What one session has borrowed.

    Attributes:
        used: Bytes, spare buffers too.
        spare: Bytes in spare buffers.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._holders: list[SpareHolder] = []
        self.used = 0
        self.spare = 0

    @property
    def share(self) -> int:
        """What the session may borrow now."""
        return self._memory.share

    def add_holder(self, holder: SpareHolder) -> None:
        """Ask this one for its spare buffers when memory is short."""
        self._holders.append(holder)

    def can_take(self, size: int) -> bool:
        """True if `take` would succeed."""
        memory = self._memory
        return self.used - self.spare + size <= memory.share and memory.left + memory.spare >= size

    def take(self, size: int) -> bool:
        """Borrow so many bytes; False if they can't be had now."""
        if not self.can_take(size):
            return False
        memory = self._memory
        if self.used + size > memory.share:
            self.drop_spares()
        if memory.left < size:
            memory.reclaim(size)
        self.used += size
        memory.left -= size
        return True

    def give(self, size: int) -> None:
        """Give so many bytes back."""
        self.used -= size
        self._memory.left += size
        self._memory.changed()

    def lay_by(self, size: int) -> None:
        """A borrowed buffer of this size is a spare one now; a negative size: no more."""
        self.spare += size
        self._memory.spare += size
        if size > 0:
            self._memory.changed()

    def drop_spares(self) -> None:
        """Give spare buffers back."""
        for holder in self._holders:
            holder.drop_spares()

    def wait(self, retry: Callable[[], None]) -> None:
        """Call `retry` once, when something may have come back."""
        self._memory.wait(self, retry)

    def changed(self) -> None:
        """Something of the session's own is free again."""
        self._memory.changed()

    def close(self) -> None:
        """The session is gone; its buffers go first."""
        self.drop_spares()
        self._memory.close(self)
        self._holders.clear()
