"""What the how-tos say works."""

from __future__ import annotations

import json
import re
import sys
import tomllib
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.cli.howto import blocks, howto_files, install
from tierce import (
    ConflictError,
    Event,
    Events,
    LocalVolume,
    OperationStatistics,
    Policy,
    ProcessStatistics,
    Published,
    RecordedEvent,
    UsageError,
    VolumeStatistics,
)
from tierce.config import config_from_bytes, options_from_mapping
from tierce.registry import Registry, missing, resolve


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """The plugin of the how-to, installed beside the shipped ones, and found as any is."""
    site = tmp_path / "site"
    install(howto_files(), site)
    monkeypatch.syspath_prepend(str(site))
    found = Registry.load(enable=["shelf", "iscsi", "jiva", "engines"])
    yield found
    for name in [name for name in sys.modules if name.partition(".")[0] == "tierce_shelf"]:
        del sys.modules[name]


@pytest.mark.parametrize("text", blocks("write-a-config.md", "yaml"))
def test_every_config_file_of_the_howto_is_right(text: str) -> None:
    config_from_bytes(text.encode(), Path("/etc/tierce.yaml"))


def test_the_mistake_of_the_howto_is_told_as_it_says(tmp_path: Path) -> None:
    text = blocks("write-a-config.md", "yaml")[0].replace("memory", "memroy")
    (console, *_) = blocks("write-a-config.md", "console")
    said = console.splitlines()[1].removeprefix("tierce: error: ")
    with pytest.raises(Exception, match=re.escape(said.partition(": ")[2])):
        config_from_bytes(text.encode(), Path("tierce.yaml"))


def test_the_plugin_of_the_howto_is_whole(shelf: Registry) -> None:
    (own,) = [one for one in shelf.plugins if one.name == "shelf"]
    assert (own.state, own.package, own.reason) == ("enabled", "tierce-shelf", "")
    parts = ["stores", "engines", "filters", "frontends", "services", "policy_handlers"]
    wanted = ("shelf", "shelf", "tally", "peek", "diary", "size-report")
    assert all(name in getattr(shelf, part) for part, name in zip(parts, wanted, strict=True))
    assert [one.plugin for one in shelf.listeners] == ["shelf"]
    assert missing(shelf, {(family, one.name) for family, one in brought(shelf)}) == []


def brought(registry: Registry) -> list[tuple[str, Any]]:
    found = registry.descriptions()
    return [(f, one) for f, _name, one in found if registry.owner(f, one.name).name == "shelf"]


def test_its_package_names_its_modules() -> None:
    project = tomllib.loads(howto_files()["pyproject.toml"])
    assert project["project"]["entry-points"]["tierce.plugins"] == {"shelf": "tierce_shelf"}
    modules = {name.partition("/")[0] for name in howto_files()} - {"pyproject.toml"}
    kept = project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    assert set(kept) == modules == {"tierce_shelf"}


def test_its_config_file_is_right(shelf: Registry) -> None:
    (text,) = blocks("write-a-plugin.md", "yaml")
    config = config_from_bytes(text.encode(), Path("/etc/tierce.yaml"), shelf)
    assert config.volumes[0].engine_options.file_size == 4 << 20
    assert config.services["diary"].options.file == "/etc/diary.jsonl"
    assert config.advice == ()


def flush_fails_for_good(device: Any, folder: Path) -> None:
    """A file that is gone can't be made durable; that it is back is no reason to say it is."""
    first = folder / "00000000"
    device.write(0, memoryview(bytes(512)))
    first.rename(folder / "aside")
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            device.flush()
        if not first.exists():
            (folder / "aside").rename(first)


def _call(reference: str, *arguments: Any) -> Any:
    factory: Any = resolve(reference)
    return factory(*arguments)


def test_its_engine_keeps_what_is_written(shelf: Registry, tmp_path: Path) -> None:
    engine = shelf.engines["shelf"]
    mapping = {"folder": "books", "file_size": 4096}
    options = options_from_mapping(engine.options, mapping, base=tmp_path, origin="")
    own = tmp_path / "own"
    volume = LocalVolume("books", "0" * 32, 1 << 16, 512, "shelf", options, (), folder=own)
    lifecycle = _call(engine.lifecycle)
    lifecycle.create(volume)
    lifecycle.create(volume)
    context = types.SimpleNamespace(options=options, volume=volume)
    device = _call(engine.factory, context)
    data = bytes(range(256)) * 40
    device.write(4096 - 512, memoryview(data))
    device.flush()
    buffer = bytearray(len(data) + 1024)
    _call(engine.factory, context).read(4096 - 1024, memoryview(buffer))
    assert buffer == bytes(512) + data + bytes(512)
    flush_fails_for_good(device, Path(options.folder))
    with pytest.raises(OSError, match="No such file"):
        _call(engine.factory, context).flush()
    assert "No such file" in lifecycle.loss(volume, "")
    lifecycle.accept_loss(volume, "")
    _call(engine.factory, context).flush()
    with pytest.raises(UsageError, match="nothing is in doubt"):
        lifecycle.loss(volume, "")
    adopted = lifecycle.adopt((Path(options.folder),))
    assert (adopted["uuid"], adopted["size"], adopted["engine"]) == ("0" * 32, 1 << 16, "shelf")
    other = LocalVolume("other", "1" * 32, 1 << 16, 512, "shelf", options, (), folder=own)
    with pytest.raises(ConflictError, match="another volume"):
        lifecycle.create(other)
    lifecycle.delete(volume)
    assert not Path(options.folder).exists()


def test_its_service_notes_what_was_written_since_also_by_a_new_process(
    shelf: Registry, tmp_path: Path
) -> None:
    service = shelf.services["diary"]
    options = service.options(file=str(tmp_path / "diary.jsonl"))
    answers = iter([True, True, True, False])
    # (when its target was started, how many writes it has counted)
    looks = iter([(7, 3), (7, 5), (9, 2)])
    happened = Events((RecordedEvent(4, 0.5, Event("a.b", "it was", "x")),), lost=3)
    context = types.SimpleNamespace(
        options=options,
        wait=lambda _seconds: next(answers),
        statistics=lambda: {"books": volume_statistics(*next(looks))},
        events=lambda: happened,
    )
    _call(service.factory, context).run()
    lines = map(json.loads, (tmp_path / "diary.jsonl").read_text().splitlines())
    first, event, lost, second, *_, third, _, _ = lines
    assert (event, lost) == ({"event": "it was"}, {"events_lost": 3})
    assert [one["writes"] for one in (first, second, third)] == [3, 2, 2]


def volume_statistics(start_ns: int, writes: int) -> VolumeStatistics:
    stages = {"volume": {"write": OperationStatistics(writes, 0, 0, 0, ())}}
    target = ProcessStatistics("target.books", "target", start_ns, "up", {}, stages, Published())
    return VolumeStatistics("books", "healthy", target, {})


def test_its_policy_handler_reports_large_volumes(shelf: Registry) -> None:
    handler = shelf.policy_handlers["size-report"]
    volumes = {"small": {"size": 1}, "large": {"size": 3}}
    policy = Policy(kind="size-report", name="p", parameters=handler.options(size_max=2))
    evaluation = _call(handler.factory, policy, volumes, 1000.0)
    assert [event.subject for event in evaluation.events] == ["volume/large"]
    assert evaluation.next_at == 1000.0 + 86400
