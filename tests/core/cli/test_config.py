"""`tierce config ...` checks and shows, and starts nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.scenes import Scene, volume
from tierce import PolicyHandlerDescription, hookimpl
from tierce.cli.config import flatten, values
from tierce.codec import HIDDEN
from tierce.config import config_from_bytes, load_config, origin_of
from tierce.registry import Registry

GOOD = """\
data_dir: data
volumes:
  - name: demo
    size: 1 MiB
    engine: memory
    frontend: iscsi
"""

Run = Callable[..., Any]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tierce.yaml"
    path.write_text(GOOD)
    return path


def test_a_good_file_is_ok(tierce: Run, file: Path) -> None:
    done = tierce("config", "check", file)
    assert (done.code, done.err) == (0, "")
    assert done.out == f"{file}: ok; volumes: demo; data in {file.parent / 'data'}\n"
    assert not (file.parent / "data").exists()


def test_a_wrong_file_is_one_line_with_its_line_and_code_3(tierce: Run, file: Path) -> None:
    file.write_text(GOOD.replace("memory", "memroy"))
    done = tierce("config", "check", file)
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith(f"tierce: error: {file}:5: ")
    assert "the nearest is 'memory'" in done.err
    assert done.err.count("\n") == 1


def test_what_should_be_known_is_a_note_and_no_error(tierce: Run, file: Path) -> None:
    file.write_text(GOOD + "plugins: {disable: [jiva]}\n")
    assert tierce("config", "check", file).err == ""
    policy = "policies: [{kind: rest, name: p}]\n"
    file.write_text(GOOD + policy)
    assert tierce("config", "check", file).code == 3


def test_show_says_where_each_value_came_from(tierce: Run, file: Path) -> None:
    done = tierce("config", "show", file, "--output", "json")
    origins = {row["key"]: (row["value"], row["origin"]) for row in json.loads(done.out)}
    assert origins["volumes.demo.size"] == (1 << 20, f"{file}:4")
    assert origins["volumes.demo.block_size"] == (512, "default")
    assert origins["data_dir"] == (str(file.parent / "data"), f"{file}:1")
    assert origins["limits.stop_timeout_s"][1] == "default"


def test_show_prints_a_table_and_yaml_too(tierce: Run, file: Path) -> None:
    table = tierce("config", "show", file).out.splitlines()
    assert table[0].split() == ["KEY", "VALUE", "ORIGIN"]
    rows = yaml.safe_load(tierce("config", "show", file, "--output", "yaml").out)
    assert len(rows) == len(table) - 1


def test_the_schema_knows_the_plugins_of_the_file(tierce: Run, file: Path) -> None:
    file.write_text("plugins: {enable: [engines, iscsi]}\n")
    schema = json.loads(tierce("config", "schema", file).out)
    engines = schema["properties"]["volumes"]["items"]["properties"]["engine"]["enum"]
    assert engines == ["file", "memory"]
    schema = json.loads(tierce("config", "schema").out)
    assert "jiva" in schema["properties"]["volumes"]["items"]["properties"]["engine"]["enum"]


def test_policies_exporters_and_broken_plugins_are_shown_too(tmp_path: Path) -> None:
    class Plugin:
        @hookimpl
        def tierce_policy_handlers(self) -> list[PolicyHandlerDescription]:
            return [
                PolicyHandlerDescription(
                    kind="rest", summary="Rests.", factory="example:rest", contract=2
                )
            ]

    registry = Registry.build([("good", Plugin(), ""), ("bad", 5, ""), ("worse", "nowhere", "")])
    text = b"policies: [{kind: rest, name: p, selector: {volumes: [demo]}}]"
    loaded = config_from_bytes(text, tmp_path / "f.yaml", registry)
    shown = dict(values(loaded))
    assert shown["policies[0].kind"] == "rest"
    assert shown["policies[0].selector.volumes"] == ["demo"]
    assert shown["plugins.enable"] == ["good"]
    bad, worse, policy = loaded.advice
    assert "plugin 'bad' is left out: it implements no hook" in bad
    assert "plugin 'worse' is left out: it can't be imported" in worse
    assert "selects the volume 'demo', which this file does not name" in policy


def test_the_secrets_of_a_volume_are_not_shown(scene: Scene) -> None:
    scene.write(volume("demo", word="open sesame"))
    shown = dict(values(load_config(scene.file, scene.registry)))
    assert shown["volumes.demo.options.word"] == HIDDEN
    assert "open sesame" not in str(shown)


def test_a_plain_value_is_flattened_to_what_has_no_parts() -> None:
    value = {"a": {"b": 1, "c": [1, 2]}, "d": [{"e": 5}, {}]}
    assert list(flatten("x", value)) == [("x.a.b", 1), ("x.a.c", [1, 2]), ("x.d[0].e", 5)]


@pytest.mark.parametrize(
    ("key", "origin"),
    [("a.b", "f:1"), ("a.b.c", "f:1"), ("a.b[3].c", "f:1"), ("z", "default"), ("a", "f:2")],
)
def test_an_origin_is_that_of_the_nearest_holder(key: str, origin: str) -> None:
    assert origin_of(key, {"a": "f:2", "a.b": "f:1"}) == origin
