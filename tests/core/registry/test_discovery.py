"""What is installed is known before anything is imported."""

from __future__ import annotations

from tierce.registry import OWN_PACKAGE, installed
from tierce.registry.discovery import PluginRecord, candidate


def test_the_shipped_plugins_are_installed_and_come_first() -> None:
    found = installed()
    own = [one.name for one in found if one.package == OWN_PACKAGE]
    assert {"engines", "iscsi", "jiva"} <= set(own)
    assert [one.name for one in found[: len(own)]] == own == sorted(own)


def test_a_candidate_may_be_a_modules_name() -> None:
    one = candidate("math", "math", "python")
    assert vars(one.load())["pi"] > 3


def test_a_record_names_the_package_if_it_is_known() -> None:
    assert PluginRecord("a", "", "", "enabled").origin == "plugin 'a'"
    assert PluginRecord("a", "b", "", "enabled").origin == "plugin 'a' (package b)"
