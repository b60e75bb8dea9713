"""The nodes of a soak: each a folder, or a small file system of its own, that holds replicas."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

#: A replica's process may be writing while its folder is copied: that is what such a copy is like.
_COPY = ("cp", "-a", "--sparse=always", "--reflink=never")


@attrs.frozen
class Node:
    """Where one replica of each volume lies.

    Attributes:
        number: From 1, as in the replica's name.
        folder: What stands for the node's disk.
    """

    number: int
    folder: Path

    @property
    def member(self) -> str:
        """The name of the process that serves this node's replica."""
        return f"member.demo.replica-{self.number}"

    @property
    def replica(self) -> Path:
        """The replica's folder."""
        return self.folder / "demo"

    @property
    def aside(self) -> Path:
        """Where the right folder waits while a wrong one is in its place."""
        return self.folder / "demo.aside"

    def copy(self, source: Path, name: str) -> Path:
        """Copy a folder to this node; returns the copy."""
        copied = self.folder / name
        subprocess.run([*_COPY, source, copied], check=True)
        return copied

    def misplace(self, wrong: Path | None) -> None:
        """Put a wrong folder, or none, in the place of the right one, which is set aside."""
        self.replica.rename(self.aside)
        if wrong is not None:
            wrong.rename(self.replica)

    def put_back(self) -> None:
        """Put the right folder back in its place; the wrong one is removed."""
        gone = self.folder / "demo.gone"
        with contextlib.suppress(FileNotFoundError):
            self.replica.rename(gone)
        self.aside.rename(self.replica)
        shutil.rmtree(gone, ignore_errors=True)

    def keep_wrong(self) -> None:
        """Let what is in place stay: by now it is whole, and what was set aside is old."""
        shutil.rmtree(self.aside)

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Leave no byte free on the node's file system meanwhile."""
        filler = self.folder / "filler"
        with filler.open("wb", buffering=0) as file:
            for piece in (1 << 20, 4096):
                with contextlib.suppress(OSError):
                    while file.write(bytes(piece)):
                        pass
        try:
            yield
        finally:
            filler.unlink()


@contextlib.contextmanager
def mounted(nodes: Sequence[Node], size_bytes: int) -> Iterator[None]:
    """Give each node a small file system of its own. Needs root."""
    done = []
    try:
        for node in nodes:
            options = f"size={size_bytes}"
            words = ["mount", "-t", "tmpfs", "-o", options, "tierce-test", str(node.folder)]
            subprocess.run(words, check=True)
            done.append(node.folder)
        yield
    finally:
        for folder in done:
            subprocess.run(["umount", "--lazy", folder], check=True)
