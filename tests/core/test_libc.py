"""The C library."""

from __future__ import annotations

import ctypes

import pytest

from tierce.libc import libc


def test_the_library_is_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[ctypes.CDLL] = []
    real = ctypes.CDLL

    def load(name: str | None, *, use_errno: bool) -> ctypes.CDLL:
        loaded.append(real(name, use_errno=use_errno))
        return loaded[-1]

    monkeypatch.setattr(ctypes, "CDLL", load)
    libc.cache_clear()
    for _call in range(3):
        assert libc().getpid() > 0
    assert len(loaded) == 1
