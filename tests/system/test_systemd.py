"""The systemd unit among the examples."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "examples" / "tierce.service"


@pytest.mark.system
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_understands_every_line_of_the_unit(tmp_path: Path) -> None:
    # It looks whether the command and the user exist.
    text = UNIT.read_text().replace("/opt/tierce/bin/tierce", "/bin/true")
    unit = tmp_path / UNIT.name
    unit.write_text(text.replace("=tierce\n", "=root\n"))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    mine = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert (done.returncode, mine) == (0, []), done.stderr


def test_the_end_of_the_server_is_not_the_end_of_its_volumes() -> None:
    parser = configparser.ConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # as its document says
    parser.read_string(UNIT.read_text())
    service = parser["Service"]
    # The volumes are processes of their own, which the next server takes over.
    assert service["KillMode"] == "process"
    assert service["Restart"] == "always"
    # One process that the kernel ends for want of memory must not end the others.
    assert service["OOMPolicy"] == "continue"
    # Four ranks end one after another.
    assert int(service["TimeoutStopSec"]) > 4 * 10
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
