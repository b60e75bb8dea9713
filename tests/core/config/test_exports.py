"""The exports of a volume, in both of their forms."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, cast

import attrs
import pytest

from tierce import Access, ConfigError, Listens, VolumeSpec
from tierce.config import portal_sections, volume_from_mapping, volume_to_mapping
from tierce.config.loading import config_from_bytes
from tierce.registry import Registry

VOLUME = {"name": "demo", "size": "1 MiB", "engine": "memory"}
WIRE = {"frontend": "wire"}
NEEDY = {"frontend": "needy"}


def make(registry: Registry, **more: Any) -> VolumeSpec:
    return volume_from_mapping(VOLUME | more, registry, base=Path("/"), origin="t.yaml")


def load(registry: Registry, *volumes: dict[str, Any]) -> Any:
    text = json.dumps({"volumes": volumes}, indent=1)
    return config_from_bytes(text.encode(), Path("t.yaml"), registry)


def test_the_short_form_is_one_export_that_writes(registry: Registry) -> None:
    short = make(registry, frontend="wire", frontend_options={"target": "mine"})
    long = make(registry, exports=[{**WIRE, "options": {"target": "mine"}}])
    assert short == long
    assert short.exports[0].access is Access.RW
    # What states of older versions hold, and this one still writes.
    mapping = volume_to_mapping(long)
    assert (mapping["frontend"], mapping["frontend_options"]) == ("wire", {"target": "mine"})
    assert "exports" not in mapping


@pytest.mark.parametrize(
    "exports",
    [
        [WIRE, {**NEEDY, "access": "ro", "options": {"target": "x"}}],
        [{**WIRE, "access": "ro"}],
        [{**WIRE, "access": "ro"}, {**NEEDY, "access": "ro"}],
    ],
)
def test_exports_go_to_json_and_come_back_equal(
    registry: Registry, exports: list[dict[str, Any]]
) -> None:
    volume = make(registry, exports=exports)
    mapping = json.loads(json.dumps(volume_to_mapping(volume)))
    assert make(registry, **mapping) == volume
    accesses = [one.get("access", "rw") for one in exports]
    assert [one.access.value for one in volume.exports] == accesses


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "volumes.demo: the option 'frontend' is missing: what serves it, or a list of"),
        ({"exports": []}, "exports: expected a list of one export at least"),
        ({"exports": [WIRE], **WIRE}, "frontend: `exports:` says already how it is served"),
        ({"exports": [{}]}, "exports[0]: the option 'frontend' is missing"),
        ({"exports": [{"frontend": "wrie"}]}, "exports[0]: no enabled plugin brings the front end"),
        ({"exports": [{**WIRE, "access": "wr"}]}, "exports[0].access"),
        ({"exports": [{**WIRE, "options": {"x": 1}}]}, "exports[0].options: unknown option 'x'"),
        (
            {"exports": [WIRE, {**WIRE, "access": "ro"}]},
            "exports[1].frontend: volumes.demo.exports[0] (t.yaml) is an export by 'wire' already",
        ),
        (
            {"exports": [WIRE, NEEDY]},
            "exports[1]: 'needy' would write, and so would 'wire', volumes.demo.exports[0] "
            "(t.yaml); one export of a volume writes at most: give one of the two `access: ro`",
        ),
    ],
)
def test_wrong_exports_are_told(registry: Registry, more: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        make(registry, **more)


def test_two_that_write_are_told_with_file_and_line(registry: Registry) -> None:
    with pytest.raises(ConfigError, match=r"^t\.yaml:13: .*exports\[0\] \(t\.yaml:8\)"):
        load(registry, {**VOLUME, "exports": [{**WIRE, "options": {}}, NEEDY]})


def test_the_form_that_is_not_used_has_no_origin(registry: Registry) -> None:
    config = load(registry, {**VOLUME, **WIRE}, {**VOLUME, "name": "b", "exports": [WIRE]})
    assert "volumes.demo.frontend" in config.origins
    assert "volumes.demo.exports" not in config.origins
    assert "volumes.b.exports[0].frontend" in config.origins
    assert "volumes.b.frontend" not in config.origins


def test_each_export_needs_a_section_and_an_identity_of_its_own(registry: Registry) -> None:
    with pytest.raises(ConfigError, match="front end 'needy' needs a section"):
        load(registry, {**VOLUME, "exports": [WIRE, {**NEEDY, "access": "ro"}]})
    mine = {**WIRE, "access": "ro", "options": {"target": "mine"}}
    volumes = [{**VOLUME, "name": name, "exports": [mine]} for name in ("a", "b")]
    with pytest.raises(ConfigError, match="would serve it as 'mine', and the volume 'a' too"):
        load(registry, *volumes)


def test_the_portal_listens_only_for_front_ends_that_let_it(registry: Registry) -> None:
    config = load(registry)
    assert set(portal_sections(config)) == {"wire", "broken", "missing"}
    wire = attrs.evolve(registry.frontends["wire"], listens=Listens.ITSELF)
    cast("Any", registry.frontends)["wire"] = wire
    assert set(portal_sections(config)) == {"broken", "missing"}
