"""Every wrong command to a running server ends with one clear line, and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.cli.wrong_commands import WITH_SERVER, Wrong, prepare
from serving.processes import is_alive
from serving.server import Server
from serving.volumes import memory
from tierce.cli.main import main

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    here = tmp_path_factory.mktemp("busy")
    with Server(here) as made:
        prepare(here)
        made.configure(memory("demo", "1 MiB"))
        made.run("demo")
        listen = [f"127.0.0.1:{made.port}"]
        other = {"data_dir": "./other", "frontends": {"iscsi": {"listen": listen}}, "volumes": []}
        (here / "other.yaml").write_text(json.dumps(other))
        replicas = json.dumps([{"folder": str(here / f"r{number}")} for number in (1, 2, 3)])
        for name, engine, option in (
            ("work", "file", f"path={here}/work.img"),
            ("three", "jiva", f"replicas={replicas}"),
        ):
            words = ("volume", "create", name, "--size", "1MiB", "--engine", engine)
            assert made.command(*words, "--option", option).returncode == 0
        yield made


def contents(folder: Path) -> set[Path]:
    """What lies in a folder, but for what the server itself changes all the time."""
    moving = {"data", "out.txt", "other"}
    return {path for path in folder.rglob("*") if path.relative_to(folder).parts[0] not in moving}


@pytest.mark.parametrize("one", WITH_SERVER, ids=lambda one: one.what)
def test_a_wrong_command_is_one_line_and_a_code(
    busy: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, one: Wrong
) -> None:
    monkeypatch.setenv("TIERCE_DATA_DIR", str(busy.data))
    monkeypatch.chdir(busy.folder)
    before = contents(busy.folder)
    with pytest.raises(SystemExit) as ended:
        main([word.format(here=busy.folder) for word in one.words])
    out, error = capsys.readouterr()
    assert ended.value.code == one.code, error
    (line,) = error.splitlines()
    assert line.startswith("tierce: error: ")
    assert one.said in line
    assert "Errno" not in line
    assert "Traceback" not in busy.said()
    assert out == ""
    # Nothing is left of what could not be done, and nobody minded.
    assert contents(busy.folder) == before
    # What a lifecycle is called in ends by itself.
    lasting = [pid for name, pid in busy.pids().items() if not name.startswith("work.")]
    assert all(map(is_alive, lasting))


def test_after_all_that_everything_is_healthy(busy: Server) -> None:
    checked = busy.command("volume", "list", "--check")
    assert checked.returncode == 0, checked.stderr
    assert len(checked.stdout.splitlines()) == 4
