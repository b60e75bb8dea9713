"""An engine of memory that can be managed: it grows, and puts snapshots on a shelf of files."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import attrs

import tierce

PIECE_BYTES = 1 << 20


@attrs.frozen
class ShelfOptions:
    """What a volume sets."""

    shelf: str = tierce.option(doc="The folder of the snapshots.", unit="path")


@attrs.frozen
class Resize:
    """What `resize` takes."""

    size: int = tierce.option(doc="The size from now on.", unit="bytes", minimum=512)


@attrs.frozen
class Kept:
    """What `resize` answers."""

    kept_bytes: int = tierce.option(doc="Bytes that the engine keeps now.", unit="bytes")


@attrs.frozen
class Snapshot:
    """What `snapshot` takes."""

    name: str = tierce.option(doc="The snapshot's name.")


@attrs.frozen
class Shelved:
    """What `snapshot` answers."""

    name: str = tierce.option(doc="The snapshot's name.")
    size: int = tierce.option(doc="Its size.", unit="bytes")


class Shelf:
    """Bytes in memory."""

    def __init__(self, context: tierce.OpenContext) -> None:
        self._reactor = context.reactor
        self._folder = Path(context.options.shelf)
        self._data = bytearray(context.volume.size_bytes)

    def read(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer`."""
        buffer[:] = self._data[offset : offset + len(buffer)]

    def write(self, offset: int, data: memoryview) -> None:
        """Store `data`."""
        self._data[offset : offset + len(data)] = data

    def actions(self) -> tuple[tierce.Action, ...]:
        """Two."""
        return (
            tierce.Action(
                name="resize",
                summary="Keep more bytes; the volume has its new size when it is opened again.",
                arguments=Resize,
                result=Kept,
                is_repeatable=True,
            ),
            tierce.Action(
                name="snapshot",
                summary="Put the bytes of now on the shelf.",
                arguments=Snapshot,
                result=Shelved,
                is_long=True,
            ),
        )

    def manage(self, action: str, arguments: Any, job: tierce.Job) -> None:
        """Do one of them."""
        if action == "resize":
            self._resize(arguments, job)
        else:
            self._snapshot(arguments.name, job)

    def _resize(self, wanted: Resize, job: tierce.Job) -> None:
        if wanted.size < len(self._data):
            raise tierce.UsageError(f"it has {len(self._data)} bytes and does not shrink")
        self._data.extend(bytes(wanted.size - len(self._data)))
        job.done(Kept(len(self._data)))

    def _snapshot(self, name: str, job: tierce.Job) -> None:
        if "/" in name or not name:
            raise tierce.UsageError(f"a snapshot is named without a slash, got {name!r}")
        path = self._folder / f"{name}.snapshot"
        if path.exists():
            raise tierce.ConflictError(f"snapshot {name} is there already: {path}")
        data = memoryview(bytes(self._data))

        def write(start: int) -> None:
            with path.open("ab") as file:
                file.write(data[start : start + PIECE_BYTES])

        def step(start: int) -> None:
            job.progress(start / len(data), f"{start >> 20} MiB are on the shelf")
            self._reactor.offload(lambda: write(start), lambda _, error: written(start, error))

        def written(start: int, error: BaseException | None) -> None:
            end = start + PIECE_BYTES
            if isinstance(error, Exception) or job.is_cancelled:
                with contextlib.suppress(OSError):
                    path.unlink()
                job.fail(error if isinstance(error, Exception) else "it was cancelled")
            elif end < len(data):
                step(end)
            else:
                job.done(Shelved(name, len(data)))

        step(0)


@tierce.hookimpl
def tierce_engines() -> list[tierce.EngineDescription]:
    """Bring the engine."""
    return [
        tierce.EngineDescription(
            name="shelf",
            contract=2,
            summary="Memory whose snapshots are files.",
            factory="tierce_shelf:Shelf",
            options=ShelfOptions,
            concurrency=tierce.Concurrency.INLINE,
            durable=False,
        )
    ]
