"""Which boot of the machine this is: it changes whenever the page cache was lost."""

from __future__ import annotations

from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Return the kernel's boot id."""
    return _BOOT_ID.read_text(encoding="ascii").strip()
