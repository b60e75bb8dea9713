"""Every cause has a name in a sentence, and says what to do."""

from __future__ import annotations

import pytest

from tierce.seeing.causes import OF_MEMBERS, Cause, Kind


@pytest.mark.parametrize("kind", Kind)
def test_a_cause_is_named_and_says_what_to_do(kind: Kind) -> None:
    one = Cause(kind, "some-name")
    assert one.label
    assert one.todo
    assert "{" not in one.label + one.todo
    assert "some-name" in one.label or kind.label.format(name="") == one.label


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind in OF_MEMBERS])
def test_all_members_together_have_a_name_too(kind: Kind) -> None:
    every = Cause(kind)
    assert every.label.startswith("the ")
    assert "each of them" in every.todo or "{name}" not in kind.todo


def test_an_engine_is_named_where_its_name_is_known() -> None:
    assert Cause(Kind.ENGINE, "file").label == "the engine file"
    assert Cause(Kind.ENGINE).label == "the engine"
