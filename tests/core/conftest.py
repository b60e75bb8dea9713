"""A loop whose time stands still, and a data folder with an engine of folders."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import scenes
from core.fake_reactor import FakeReactor
from core.served import Served


@pytest.fixture
def reactor() -> FakeReactor:
    return FakeReactor()


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[scenes.Scene]:
    monkeypatch.setitem(sys.modules, scenes.MODULE, scenes)
    made = scenes.Scene(tmp_path)
    yield made
    made.close()


@pytest.fixture
def served(tmp_path: Path, reactor: FakeReactor) -> Iterator[Served]:
    made = Served(tmp_path, reactor)
    yield made
    made.close()
