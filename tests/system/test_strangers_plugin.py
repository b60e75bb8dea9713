"""An engine from a folder of its own, with its own pyproject, is served like any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.cli.howto import blocks, howto_files, write
from serving.server import Server
from serving.volumes import volume

pytestmark = [pytest.mark.system, pytest.mark.needs("libiscsi")]

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "engine-in-20-lines"


def test_a_20_line_engine_is_installed_enabled_written_and_read(server: Server) -> None:
    lines = (EXAMPLE / "tierce_xor.py").read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= 20
    server.install(EXAMPLE)
    server.configure(volume("demo", "xor", "16 MiB"), plugins={"enable": ["iscsi", "xor"]})
    explained = server.command("plugin", "list", "--output", "json")
    assert '"xor"' in explained.stdout, explained.stdout + explained.stderr
    server.run("demo")
    session = server.session()
    assert session.read_now(0, 8192) == bytes(8192)
    session.write_now(4096, b"strange!" * 512)
    session.flush_now()
    assert session.read_now(4096, 4096) == b"strange!" * 512
    session.close()
    server.stop()


def test_the_plugin_of_the_howto_is_installed_by_pip_and_found_whole(server: Server) -> None:
    write(howto_files(), server.folder / "written")
    server.install(server.folder / "written")
    for words in (("plugin", "check", "shelf"), ("plugin", "explain", "shelf")):
        done = server.command(*words)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "package tierce-shelf" in done.stdout
    (text,) = [one for one in blocks("write-a-plugin.md", "yaml") if "jiva-shelf" in one]
    server.file.write_text(text)
    done = server.command("config", "check", str(server.file))
    assert done.returncode == 0, done.stdout + done.stderr
