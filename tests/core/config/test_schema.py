"""The JSON Schema accepts what the loader accepts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tierce.config import Config
from tierce.config.schema import DIALECT, config_schema
from tierce.registry import Registry

EXAMPLES = sorted(
    path
    for path in (Path(__file__).parents[3] / "examples").glob("**/*.yaml")
    # What other programs read has rules of its own.
    if not path.name.endswith(".rules.yaml") and path.parent.name != "fluent"
)

GOOD = """\
data_dir: x
plugins: {disable: []}
frontends: {wire: {listen: ["127.0.0.1:0"]}, needy: {banner: b}}
services: {scrape: , guard: {path: g, selector: {volumes: [demo]}}}
policies: [{kind: grow, name: p, selector: {volumes: [demo]}, parameters: {path: y}}]
limits: {stop_timeout_s: 2 min, event_count_max: 500}
volumes:
  - name: demo
    size: 1 MiB
    block_size: 4096
    engine: all
    options:
      needed: x
      switch: true
      mode: fast
      level: high
      cache: 64KiB
      patience: 5
      peer: "[::1]:5"
      disk: {path: a}
      labels: {a: b}
    frontend: wire
    frontend_options:
    filters: [{name: slow, path: b}, {name: trace}]
"""


def is_valid(registry: Registry, text: str) -> bool:
    validator = jsonschema.Draft202012Validator(config_schema(registry))
    return bool(validator.is_valid(yaml.safe_load(text)))


def test_it_is_a_schema_of_its_dialect(registry: Registry) -> None:
    schema = config_schema(registry)
    assert schema["$schema"] == DIALECT == jsonschema.Draft202012Validator.META_SCHEMA["$id"]
    jsonschema.Draft202012Validator.check_schema(schema)


def test_it_accepts_what_the_loader_accepts(
    registry: Registry, load: Callable[[str], Config]
) -> None:
    load(GOOD)
    assert is_valid(registry, GOOD)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("data_dir: x", "data_dri: x"),
        ("name: demo", "name: Demo"),
        ("size: 1 MiB", "size: 1 MB"),
        ("engine: all", "engine: nothing"),
        ("needed: x", "switch: false"),
        ("switch: true", "switch: 1"),
        ("mode: fast", "mode: faster"),
        ("level: high", "level: higher"),
        ("cache: 64KiB", "cache: big"),
        ("disk: {path: a}", "disk: {weight: 1}"),
        ("labels: {a: b}", "labels: {a: 5}"),
        ("frontend: wire", "frontend: wrie"),
        ("{name: slow, path: b}", "{name: slow}"),
        ("{name: trace}", "{name: trace, more: 1}"),
        ("scrape: ", "scrap: "),
        ("{path: g, selector: {volumes: [demo]}}", "{path: g, selector: {volumes: demo}}"),
        ("kind: grow", "kind: gorw"),
        ("parameters: {path: y}", "parameters: {}"),
        ("event_count_max: 500", "event_count_max: 5"),
        ("{banner: b}", "{}"),
        ("disable: []", "disable: [nothing]"),
    ],
)
def test_it_refuses_what_the_loader_refuses(registry: Registry, right: str, wrong: str) -> None:
    assert right in GOOD
    assert not is_valid(registry, GOOD.replace(right, wrong))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_the_examples_are_valid(file: Path) -> None:
    assert is_valid(Registry.load(), file.read_text())


def test_every_option_has_its_documentation(registry: Registry) -> None:
    def check(schema: dict[str, Any]) -> None:
        for name, one in schema.get("properties", {}).items():
            assert one.get("description") or "const" in one, name
            check(one)

    check(config_schema(registry))


def test_without_filters_there_can_be_none() -> None:
    schema = config_schema(Registry([]))
    assert schema["properties"]["volumes"]["items"]["properties"]["filters"]["items"] is False
