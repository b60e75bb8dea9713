"""Values know their line; YAML is read as version 1.2 understands it."""

from __future__ import annotations

from typing import Any

import pytest

from tierce.config.source import Value, from_plain, parse


def plain(value: Value) -> Any:
    if isinstance(value.content, dict):
        return {key: plain(one) for key, one in value.content.items()}
    if isinstance(value.content, list):
        return [plain(one) for one in value.content]
    return value.content


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("a: yes", "yes"),
        ("a: on", "on"),
        ("a: 1:30", "1:30"),
        ("a: 2026-11-24", "2026-11-24"),
        ("a: 010", 10),
        ("a: 0o10", 8),
        ("a: 0x10", 16),
        ("a: 1_000", "1_000"),
        ("a: 1e3", 1000.0),
        ("a: .5", 0.5),
        ("a: -3", -3),
        ("a: ~", None),
        ("a:", None),
        ("a: null", None),
        ("a: True", True),
        ("a: 'true'", "true"),
        ("a: !!str 5", "5"),
        ("a: .nan", ".nan"),
        ("a: 5 # five", 5),
        ("a: |\n  b\n", "b\n"),
    ],
)
def test_scalars_are_those_of_the_core_schema(text: str, content: object) -> None:
    found = plain(parse(text.encode(), "f"))["a"]
    assert found == content
    assert type(found) is type(content)


def test_every_value_and_key_knows_its_line() -> None:
    value = parse(b"a:\n  - b\n  - c: 1\n", "f")
    assert value.origin_of("a") == "f:1"
    assert isinstance(value.content, dict)
    items = value.content["a"].content
    assert isinstance(items, list)
    assert [one.line for one in items] == [2, 3]
    assert str(value.error("wrong", key="a")) == "f:1: wrong"
    assert str(items[1].error("wrong")) == "f:3: wrong"


def test_plain_values_have_no_lines() -> None:
    value = from_plain({"a": (1, 2)}, "a command")
    assert plain(value) == {"a": [1, 2]}
    assert value.origin == "a command"
    assert str(value.error("wrong", key="a")) == "a command: wrong"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "a mapping"),
        ([], "a list"),
        (None, "nothing"),
        (True, "true"),
        (5, "the number 5"),
        ("x", "the text 'x'"),
        ("x" * 1000, f"the text '{'x' * 57}...'"),
    ],
)
def test_a_value_is_described_in_a_few_words(content: Any, words: str) -> None:
    assert from_plain(content, "f").describe() == words
