"""Running the console entry in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from core.scripted_server import ScriptedServer
from tierce.cli.main import main


@attrs.frozen
class Done:
    """What a run came to."""

    code: int
    out: str
    err: str


@pytest.fixture
def tierce(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Run `tierce` with these arguments."""

    def run(*arguments: object) -> Done:
        with pytest.raises(SystemExit) as ended:
            main([str(one) for one in arguments])
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Done(ended.value.code, out, err)

    return run


@pytest.fixture
def scripted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., ScriptedServer]]:
    """Make a server for the data folder that commands find, with its answers."""
    monkeypatch.setenv("TIERCE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    made: list[ScriptedServer] = []

    def make(*scripts: list[Any]) -> ScriptedServer:
        made.append(ScriptedServer(tmp_path / "data", *scripts))
        return made[-1]

    yield make
    for one in made:
        one.close()
