"""A replica's bytes as those see them who make, name and remove them: through the store alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import attrs

from tierce import RecordPlace, StoreChoice, StoreContext
from tierce_jiva.files import Files
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
