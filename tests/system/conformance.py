"""libiscsi's test suite: one verdict per test.

`iscsi-test-cu` counts a skipped test as passed. Here a test that printed [SKIPPED] has proved
nothing and is a skip; one that began and never ended is a hang.

    python -m system.conformance URL [URL]   (in tests/) prints the verdicts as JSON; destroys the
                                             data. A second URL is another path to the same LUN
"""

from __future__ import annotations

import json
import re
import subprocess
import sys

_SUITE = re.compile(r"^Suite: (\S+)")
_TEST = re.compile(r"^  Test: (.+?) \.\.\.")
_END = re.compile(r"^(?:  Test: .+? \.\.\.)?(passed|FAILED)\b")

TIMEOUT_S = 400


def parse(text: str) -> dict[str, str]:
    """Map `Suite.Test` to pass, skip, fail or hang."""
    verdicts: dict[str, str] = {}
    suite = test = ""
    is_skipped = False
    for line in text.splitlines():
        if found := _SUITE.match(line):
            suite = found[1]
            continue
        if found := _TEST.match(line):
            test, is_skipped = f"{suite}.{found[1]}", False
            verdicts[test] = "hang"
        if not test:
            continue
        is_skipped = is_skipped or "[SKIPPED]" in line
        if verdicts[test] == "hang" and (found := _END.match(line)):
            passed = "skip" if is_skipped else "pass"
            verdicts[test] = "fail" if found[1] == "FAILED" else passed
    return verdicts


def run(*urls: str, family: str = "ALL") -> tuple[dict[str, str], str]:
    """Run a family of tests against a LUN whose contents don't matter; return verdicts and text.

    A second URL is another path to the same LUN.
    """
    try:
        done = subprocess.run(
            ["iscsi-test-cu", "-d", "-v", "-t", family, *urls],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_S,
            check=False,
        )
        text = done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as late:
        text = (late.stdout or b"").decode(errors="replace")
    return parse(text), text


if __name__ == "__main__":
    print(json.dumps(run(*sys.argv[1:])[0], indent=0, sort_keys=True))
