"""Standard input, output and error, as whoever starts `tierce` left them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CODE = """
import os, sys
from tierce.cli.streams import secure_streams
secure_streams()
opened = os.open(os.devnull, os.O_RDONLY)
print("out")
print("error", file=sys.stderr)
sys.stdin.read()
os.write(int(sys.argv[1]), b"%d" % opened)
"""


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&-", "0<&- 1>&- 2>&-"])
def test_what_is_opened_later_gets_no_standard_number(closed: str) -> None:
    read, write = os.pipe()
    os.set_inheritable(write, True)
    done = subprocess.run(
        ["bash", "-c", f'exec "$@" {closed}', "x", sys.executable, "-c", CODE, str(write)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        pass_fds=[write],
    )
    os.close(write)
    assert done.returncode == 0, done.stderr
    assert int(os.read(read, 100)) > 2
    os.close(read)
    assert done.stdout == ("" if "1>" in closed else "out\n")
    assert done.stderr == ("" if "2>" in closed else "error\n")


def test_names_that_are_no_text_can_be_told() -> None:
    code = (
        "from tierce.cli.streams import secure_streams; secure_streams(); print('\\udcff is here')"
    )
    out = subprocess.check_output([sys.executable, "-c", code], timeout=60)
    assert out == b"\\udcff is here\n"
