"""What is told is declared, and what is declared is told."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tierce import EventDescription, Severity
from tierce.registry import OWN_PACKAGE, Registry, installed

REPOSITORY = Path(__file__).parents[2]
REGISTRY = Registry(one for one in installed() if one.package == OWN_PACKAGE)
#: The first words of our codes; what follows is lower case with dots and dashes.
FIRST = sorted({code.partition(".")[0] for code in REGISTRY.events})
CODE = re.compile(rf"({'|'.join(FIRST)})(\.[a-z]+(-[a-z]+)*)+")
#: What looks like a code and is a file's name.
FILE = re.compile(r".*\.(json|md|yaml|lock|img|stats)")
#: And what is a stage's.
STAGE = re.compile(r"jiva\.(admit|replica|replicate)")
DECLARED_IN = {"core_events.py", "events.py"}


def literals(*names: str) -> dict[str, str]:
    """Return each text in the code that looks like an event's code, and where it is."""
    found = {}
    for root in names:
        for path in sorted((REPOSITORY / root).rglob("*.py")):
            if path.name in DECLARED_IN:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                text = getattr(node, "value", None) if isinstance(node, ast.Constant) else None
                if not isinstance(text, str) or STAGE.fullmatch(text) or FILE.fullmatch(text):
                    continue
                if CODE.fullmatch(text):
                    found[text] = f"{path.relative_to(REPOSITORY)}:{node.lineno}"  # type: ignore[attr-defined]
    return found


def test_every_event_that_is_told_is_declared() -> None:
    told = literals("core", "plugins")
    assert len(told) > 60
    undeclared = {code: where for code, where in told.items() if code not in REGISTRY.events}
    assert not undeclared, "declare them: core_events.py, or the plugin's tierce_events"


def test_every_event_that_is_declared_is_told() -> None:
    # "log" is no dotted code: see process/loggers.py.
    assert REGISTRY.events.keys() - literals("core", "plugins").keys() == {"log"}


@pytest.mark.parametrize("event", REGISTRY.events.values(), ids=lambda one: one.code)
def test_a_declaration_says_what_has_happened_and_what_is_grave_says_more(
    event: EventDescription,
) -> None:
    assert event.summary.endswith(".")
    assert isinstance(event.severity, Severity)
    assert not event.todo.endswith(".")
