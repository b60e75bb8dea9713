"""Logs of bounded size."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tierce.process.logs import LOG_BYTES_MAX, LOG_COUNT_KEPT, RotatingLog, put_aside, trim

LINE = "x" * 1023 + "\n"
LINES_A_LOG = LOG_BYTES_MAX // len(LINE)


def sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in sorted(folder.iterdir())}


def test_a_log_that_is_written_goes_on_in_a_new_one_when_it_is_full(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "serve.log")
    for _log in range(LOG_COUNT_KEPT + 3):
        log.write([LINE] * LINES_A_LOG)
    log.write(["last\n"])
    log.close()
    found = sizes(tmp_path)
    assert found.pop("serve.log") == len("last\n")
    assert found == {f"serve.log.{number}": LOG_BYTES_MAX for number in range(1, 5)}
    assert LOG_COUNT_KEPT == 4


def test_the_newest_of_those_put_aside_has_the_lowest_number(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    for text in ("first", "second", "third"):
        log.write_text(text)
        put_aside(log)
    assert (tmp_path / "a.log.1").read_text() == "third"
    assert (tmp_path / "a.log.3").read_text() == "first"
    put_aside(log)
    assert not (tmp_path / "a.log.1").exists()


def test_a_log_that_can_not_be_written_ends_nobody_and_heals(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    log = RotatingLog(folder / "serve.log")
    log.write(["lost\n"])
    folder.mkdir()
    log.write(["kept\n"])
    log.close()
    assert (folder / "serve.log").read_text() == "kept\n"


def test_a_full_device_ends_nobody() -> None:
    log = RotatingLog(Path("/dev/full"))
    log.write(["lost\n"])
    log.write(["lost\n"])
    log.close()


PROCESS = """
import os, sys
from pathlib import Path
from tierce.process.logs import redirect_output, rotate_output
log = Path(sys.argv[1])
redirect_output(log)
for number in range(int(sys.argv[2])):
    os.write(2, b"x" * 65536)
    rotate_output(log)
print("done", flush=True)
"""


def test_the_log_of_a_process_is_bounded_while_it_runs(tmp_path: Path) -> None:
    log = tmp_path / "portal.log"
    count = 3 * LOG_BYTES_MAX // 65536 + 1
    subprocess.run([sys.executable, "-c", PROCESS, str(log), str(count)], check=True, timeout=60)
    found = sizes(tmp_path)
    assert found.pop("portal.log") == 65536 + len("done\n")
    assert found == {f"portal.log.{number}": LOG_BYTES_MAX for number in (1, 2, 3)}


def test_a_process_without_a_log_works_all_the_same(tmp_path: Path) -> None:
    log = tmp_path / "absent" / "portal.log"
    subprocess.run([sys.executable, "-c", PROCESS, str(log), "2"], check=True, timeout=60)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_log_of_ours_is_never_put_aside(tmp_path: Path) -> None:
    # Started by hand with its errors led into a file: that file is the user's.
    theirs = tmp_path / "theirs"
    theirs.write_bytes(bytes(LOG_BYTES_MAX + 1))
    code = (
        "import pathlib; from tierce.process.logs import rotate_output as r; r(pathlib.Path('a'))"
    )
    with theirs.open("ab") as file:
        subprocess.run([sys.executable, "-c", code], check=True, stderr=file, cwd=tmp_path)
    assert os.listdir(tmp_path) == ["theirs"]


@pytest.mark.parametrize("size", [LOG_BYTES_MAX - 1, LOG_BYTES_MAX])
def test_a_full_log_is_put_aside_before_it_is_opened(tmp_path: Path, size: int) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(bytes(size))
    trim(log)
    assert log.exists() == (size < LOG_BYTES_MAX)
