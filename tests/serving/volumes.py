"""Volumes as a config file has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

SIZE = "64 MiB"


def volume(name: str, engine: str, size: str = SIZE, **options: Any) -> dict[str, Any]:
    entry = {"name": name, "size": size, "engine": engine, "frontend": "iscsi"}
    return {**entry, "options": options} if options else entry


def memory(name: str = "demo", size: str = SIZE) -> dict[str, Any]:
    return volume(name, "memory", size)


def file(name: str = "demo", path: str = "", size: str = SIZE) -> dict[str, Any]:
    """A volume in a file; without `path` it lies beside the config file."""
    return volume(name, "file", size, path=path or f"./{name}.img")


def jiva(
    name: str = "demo", size: str = SIZE, folders: Sequence[str] | None = None, **options: Any
) -> dict[str, Any]:
    """A replicated volume; without `folders` it has three beside the config file."""
    where = folders or [f"./{name}-{index}" for index in range(3)]
    replicas = [{"folder": folder} for folder in where]
    return volume(name, "jiva", size, replicas=replicas, **options)
