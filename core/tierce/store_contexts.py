"""What a store is handed: whose bytes it is to keep, and what is to be changed in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from tierce.block.operation import Op
from tierce.reactor import Reactor
from tierce.spec import Event
from tierce.stage import Stage


@attrs.frozen(kw_only=True)
class StoreContext:
    """Whose bytes a store is to make, find or remove.

    Attributes:
        options: The store's own option instance, of the volume's `store_options:`.
        folder: The replica's folder. It is there.
        size_bytes: The volume's size in bytes.
        block_size: The volume's logical block in bytes: offsets and lengths are multiples of it.
        uuid: The volume's uuid.
        member: The replica's name, unique in the volume.
        pool: The pool that the store is to keep its bytes in; None, as it is now: there are no
            pools yet.
    """

    options: Any
    folder: Path
    size_bytes: int
    block_size: int
    uuid: str
    member: str
    pool: str | None = None


@attrs.frozen(kw_only=True)
class StoreOpenContext(StoreContext):
    """What a store is opened with besides, in its replica's process.

    Attributes:
        reactor: The process's loop.
        stage: Returns the counters of the stage so named.
        emit: Reports an event; never waits.

    Thread: data thread.
    Blocking: no.
    Failure: as of OpenContext.
    Since: contract 2.
    """

    reactor: Reactor
    stage: Callable[[str], Stage]
    emit: Callable[[Event], None]


@attrs.frozen
class BatchEntry:
    """One change that a store is to make.

    Attributes:
        op: Op.WRITE, or Op.DISCARD or Op.WRITE_ZEROES, both of which `discard` makes.
        offset: First byte.
        length: Bytes.
    """

    op: Op
    offset: int
    length: int
