"""Which code this is: what tells a fork server of a former version from one of ours.

What it forks runs its code, and would read the plans of ours by the rules of its own.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path

import tierce


@functools.cache
def core_digest() -> str:
    """Return a digest of core's source files, as they lay there when it was first asked for."""
    root = Path(tierce.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def code_identity(plugins: Iterable[tuple[str, str]]) -> str:
    """Return what differs with core's code, and with a plugin's version.

    Args:
        plugins: Name and version of each one in use.
    """
    text = repr((core_digest(), sorted(plugins)))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
