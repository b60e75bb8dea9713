"""What a file says of things that plugins bring."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tierce import ConfigError
from tierce.config.parsing import Reading
from tierce.config.sections import Section, find, sections_of
from tierce.config.source import Value, parse
from tierce.registry import Registry


def test_a_name_that_no_plugin_brings_is_told_with_the_nearest(registry: Registry) -> None:
    value = Value("slwo", "t.yaml", 7)
    assert find("filter", registry.filters, Value("slow", "t.yaml"), "", registry).name == "slow"
    said = "t.yaml:7: volumes.a: no enabled plugin brings the filter 'slwo'; the nearest is 'slow'"
    with pytest.raises(ConfigError, match=re.escape(said)):
        find("filter", registry.filters, value, "volumes.a", registry)


def test_sections_are_found_by_the_line_of_their_name(registry: Registry) -> None:
    file = parse(b"frontends:\n  wire:\n  needy: {peer: 'h:1'}\n", "t.yaml")
    reading, frontends, services = Reading(Path("/")), registry.frontends, registry.services
    wire, needy = sections_of(file, "frontends", "front end", frontends, registry, reading)
    assert [(name, one.at.origin) for name, one in (wire, needy)] == [
        ("wire", "t.yaml:2"),
        ("needy", "t.yaml:3"),
    ]
    assert not list(sections_of(file, "services", "service", services, registry, reading))


def test_what_can_not_be_used_ends_the_reading_only_where_anything_wrong_does(
    registry: Registry,
) -> None:
    left = Registry(registry._candidates, unusable={("service", "scrape"): "it raises"})
    file = parse(b"services:\n  scrape:\n", "t.yaml")
    said = "t.yaml:2: services: the service 'scrape' "
    with pytest.raises(ConfigError, match=f"{said}can't be used: it raises"):
        list(sections_of(file, "services", "service", left.services, left, Reading(Path("/"))))
    lenient = Reading(Path("/"), refused={})
    assert not list(sections_of(file, "services", "service", left.services, left, lenient))
    assert lenient.advice == [f"{said}is left out: it raises"]


@pytest.mark.parametrize("is_empty", [False, True])
def test_what_an_absent_or_empty_section_lacks_is_told_where_its_owner_stands(
    registry: Registry, is_empty: bool
) -> None:
    owner = Value("slow", "t.yaml", 7)
    options = Value(None, "t.yaml") if is_empty else None
    section = Section(registry.filters["slow"], owner, options)
    said = "t.yaml:7: filters[0]: the option 'path' is missing: Where it is."
    with pytest.raises(ConfigError, match=re.escape(said)):
        section.parse(section.description.options, Reading(Path("/")), "filters[0]")
