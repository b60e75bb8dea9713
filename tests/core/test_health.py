"""The words for how a volume is."""

from __future__ import annotations

import re

from tierce.cli.reference.pages import pages
from tierce.health import Health


def test_the_words_are_those_that_the_documents_promise() -> None:
    assert [health.value for health in Health] == [
        *("healthy", "degraded", "stalled", "read-only", "fenced"),
        *("down", "opening", "deleting", "unknown"),
    ]


def test_every_word_says_what_it_means_and_what_to_do() -> None:
    for health in Health:
        assert re.fullmatch(r"[A-Z][^.]*\.", health.meaning), health
        assert bool(health.todo) == (health is not Health.HEALTHY)


def test_every_word_is_documented() -> None:
    page = pages()["states.md"]
    for health in Health:
        assert f"| `{health.value}` | {health.meaning} |" in page
