"""What the plugin names is there."""

from __future__ import annotations

import importlib

import pytest

from tierce_jiva import plugin
from tierce_jiva.options import JivaOptions


def described() -> list[str]:
    (store,) = plugin.tierce_stores()
    (replicator,) = plugin.tierce_replicators()
    (engine,) = plugin.tierce_engines()
    return [store.factory, replicator.factory, replicator.member, engine.lifecycle]


@pytest.mark.parametrize("path", described())
def test_what_is_named_can_be_imported_and_called(path: str) -> None:
    module, _, name = path.partition(":")
    assert callable(getattr(importlib.import_module(module), name))


def test_the_engine_is_a_replicator_over_a_store_that_it_brings() -> None:
    (engine,) = plugin.tierce_engines()
    assert engine.replicator == plugin.tierce_replicators()[0].name
    assert engine.store == plugin.tierce_stores()[0].name
    assert engine.options is plugin.tierce_replicators()[0].options is JivaOptions
