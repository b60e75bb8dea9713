"""Plugins at hand, small ones, for tests of the registry."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import pytest

from tierce import hookimpl

MakePlugin = Callable[..., types.ModuleType]


@pytest.fixture
def plugin() -> MakePlugin:
    """Make a module whose hooks return what the keyword arguments say: `engines=[...]`."""

    def make(**answers: Any) -> types.ModuleType:
        module = types.ModuleType("example")
        for family, answer in answers.items():
            module.__dict__[f"tierce_{family}"] = hookimpl(_function(answer))
        return module

    return make


def _function(answer: Any) -> Callable[[], Any]:
    def hook() -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return hook
