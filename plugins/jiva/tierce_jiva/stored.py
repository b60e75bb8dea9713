"""A replica's bytes as those see them who make, name, open and remove them: by the store alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import attrs

from tierce import FormatError, MemberContext, RecordPlace, Store, StoreChoice, StoreContext
from tierce_jiva.files import Files
from tierce_jiva.folder import Identity
from tierce_jiva.record_file import open_record_file
from tierce_jiva.store import SPARSE_FILE, create_head, destroy_head, identify_head


@attrs.frozen
class Stored:
    """One replica's bytes.

    Attributes:
        store: The store's name, which the folder's identity says too.
        create: Makes them; see `tierce.Store.create`.
        destroy: Removes them; see `tierce.Store.destroy`.
        identify: Returns which bytes they are; see `tierce.Store.identify`.
        open_record: Returns where the replica's record lies.
    """

    store: str
    create: Callable[[], None]
    destroy: Callable[[], None]
    identify: Callable[[], str]
    open_record: Callable[[], RecordPlace]


def stored_by(choice: StoreChoice, context: StoreContext, files: Files) -> Stored:
    """Return the bytes that a store keeps."""
    kind = choice.kind

    def open_record() -> RecordPlace:
        return kind.open_record(context) or open_record_file(context.folder, files)

    return Stored(
        choice.name,
        create=partial(kind.create, context),
        destroy=partial(kind.destroy, context),
        identify=partial(kind.identify, context),
        open_record=open_record,
    )


def sparse_file(folder: Path, size_bytes: int, files: Files) -> Stored:
    """Return the bytes in a sparse file, on a file system of the caller's."""
    return Stored(
        SPARSE_FILE,
        create=partial(create_head, folder, size_bytes, files),
        destroy=partial(destroy_head, folder, files),
        identify=partial(identify_head, folder, files),
        open_record=partial(open_record_file, folder, files),
    )


def kind_of(context: MemberContext, found: Identity) -> type[Store]:
    """Return the class of what keeps a replica's bytes, if its folder is what it should be.

    Args:
        context: What the replica's process is started with.
        found: What the folder says.

    Raises:
        FormatError: It is another's, or another store keeps its bytes.
    """
    path, choice = context.member.folder, context.store
    if (found.uuid, found.replica) != (context.volume_uuid, context.member.name):
        raise FormatError(
            f"holds replica {found.replica!r} of volume {found.volume!r} ({found.uuid}), expected "
            f"{context.member.name!r} of {context.volume_name!r} ({context.volume_uuid})",
            path=path,
        )
    if choice is None or choice.name != found.store:
        named = "none" if choice is None else repr(choice.name)
        raise FormatError(
            f"its bytes are kept by the store {found.store!r}, the volume's engine names {named}",
            path=path,
        )
    return choice.kind
