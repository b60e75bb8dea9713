"""libiscsi's suite against a replicated volume: one verdict a test, none may get worse.

`iscsi_verdicts.json` holds the last known verdict of each test. To take new ones over, say:
`cd tests && python -m system.conformance URL > system/iscsi_verdicts.json`.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from system import conformance
from system.serving import Server, jiva

#: Tests that may fail, each with the reason. A test listed here that passes must be taken out.
ACCEPTED_FAILURES: dict[str, str] = {}

KNOWN = Path(__file__).with_name("iscsi_verdicts.json")

#: Two tests as iscsi-test-cu prints them, and one that it began and did not end.
SAID = """\
Suite: Read10
  Test: Simple ...passed
  Test: BeyondEol ...
    [SKIPPED] not today
passed
  Test: ZeroBlocks ...
    [FAILED] sense
FAILED
Suite: Write10
  Test: Simple ...
"""


def test_a_skipped_test_has_not_passed_and_an_endless_one_hangs() -> None:
    assert conformance.parse(SAID) == {
        "Read10.Simple": "pass",
        "Read10.BeyondEol": "skip",
        "Read10.ZeroBlocks": "fail",
        "Write10.Simple": "hang",
    }


@pytest.mark.system
@pytest.mark.needs("iscsi-test-cu")
@pytest.mark.timeout(conformance.TIMEOUT_S + 60)
def test_libiscsis_suite_finds_nothing_that_is_not_listed(server: Server) -> None:
    server.configure(jiva("demo"))
    server.run("demo")
    verdicts, text = conformance.run(server.url())
    server.stop()
    for verdict in ("fail", "hang", "skip"):
        for name in sorted(one for one, got in verdicts.items() if got == verdict):
            print(f"{verdict} {name}")
    known: dict[str, str] = json.loads(KNOWN.read_text())
    bad = {name for name, verdict in verdicts.items() if verdict in {"fail", "hang"}}
    assert bad == set(ACCEPTED_FAILURES), text[-20_000:]
    lost = [name for name, was in known.items() if was == "pass" and verdicts.get(name) != "pass"]
    assert not lost, {name: verdicts.get(name, "not run") for name in lost}
