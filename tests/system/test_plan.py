"""A seed repeats a plan."""

from __future__ import annotations

from itertools import islice

import pytest

from system.plan import chosen_kinds, rounds


def told(seed: int, count: int) -> list[tuple[int, str, float]]:
    return [
        (one.number, one.kind, one.random.random()) for one in islice(rounds(seed, "abc"), count)
    ]


def test_a_seed_repeats_its_rounds_and_another_has_others() -> None:
    assert told(1, 30) == told(1, 30)
    assert told(1, 30) != told(2, 30)


def test_every_kind_comes_before_one_comes_again() -> None:
    kinds = [kind for _, kind, _ in told(5, 9)]
    assert all(set(kinds[at : at + 3]) == set("abc") for at in (0, 3, 6))


def test_kinds_are_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIERCE_SOAK_KINDS", raising=False)
    assert chosen_kinds(["kill"], ["kill", "swap"]) == ["kill"]
    monkeypatch.setenv("TIERCE_SOAK_KINDS", "swap,kill")
    assert chosen_kinds(["kill"], ["kill", "swap"]) == ["swap", "kill"]
    monkeypatch.setenv("TIERCE_SOAK_KINDS", "swop")
    with pytest.raises(ValueError, match="no \\['swop'\\]; there are kill, swap"):
        chosen_kinds(["kill"], ["kill", "swap"])
