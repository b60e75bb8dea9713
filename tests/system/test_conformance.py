"""libiscsi's suite against every engine and both block sizes, over two portals: one verdict a test.

`iscsi_verdicts.json` says of each test that it passes, or why it is skipped. No other verdict is
taken, and a skip that becomes a pass has to be written down too.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from serving.processes import free_port
from serving.server import Server
from serving.volumes import jiva, volume
from system import conformance

KNOWN = Path(__file__).with_name("iscsi_verdicts.json")
PASS_COUNT_MIN = 190

#: Tests as iscsi-test-cu prints them, and one that it began and did not end.
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


def known() -> dict[str, str]:
    verdicts: dict[str, str] = json.loads(KNOWN.read_text())
    return verdicts


def test_every_skip_has_its_reason_and_there_are_few() -> None:
    for name, verdict in known().items():
        assert verdict == "pass" or verdict.startswith("skip: "), name
    assert list(known().values()).count("pass") >= PASS_COUNT_MIN


def volumes() -> dict[str, dict[str, Any]]:
    """Every engine with every block size."""
    made: dict[str, dict[str, Any]] = {}
    for block_size in (512, 4096):
        for engine in ("memory", "file", "jiva"):
            name = f"{engine}-{block_size}"
            one = jiva(name) if engine == "jiva" else volume(name, engine)
            if engine == "file":
                one = volume(name, engine, path=f"./{name}.img")
            made[name] = {**one, "block_size": block_size}
    return made


@pytest.mark.system
@pytest.mark.needs("iscsi-test-cu")
@pytest.mark.timeout(conformance.TIMEOUT_S + 60)
def test_libiscsis_suite_finds_nothing_that_is_not_listed(server: Server) -> None:
    made, ports = volumes(), (server.port, free_port())
    listen = [f"127.0.0.1:{port}" for port in ports]
    server.configure(*made.values(), frontends={"iscsi": {"listen": listen}})
    server.run(*made)

    def suite(name: str) -> tuple[dict[str, str], str]:
        url = server.url(name)
        return conformance.run(url, url.replace(f":{ports[0]}/", f":{ports[1]}/"))

    # The suite sleeps for most of its time.
    with ThreadPoolExecutor(len(made)) as pool:
        found = dict(zip(made, pool.map(suite, made), strict=True))
    server.stop()
    expected = {name: verdict.partition(":")[0] for name, verdict in known().items()}
    for name, (verdicts, text) in found.items():
        other = {
            test: verdicts.get(test, "not run")
            for test in expected.keys() | verdicts.keys()
            if verdicts.get(test) != expected.get(test)
        }
        assert not other, f"{name}: {other}\n{text[-20_000:]}"


@pytest.mark.system
@pytest.mark.needs("iscsi-test-cu")
def test_what_needs_a_read_only_volume_passes_on_one(server: Server) -> None:
    server.configure({**volume("demo", "memory"), "frontend_options": {"read_only": True}})
    server.run("demo")
    verdicts, text = conformance.run(server.url(), family="ALL.ReadOnly")
    server.stop()
    assert verdicts == {"ReadOnly.ReadOnlySBC": "pass"}, text


@pytest.mark.system
@pytest.mark.needs("iscsi-test-cu")
@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("ALL.CompareAndWrite", "CompareAndWrite.InvalidDataOutSize"),
        ("ALL.WriteSame16", "WriteSame16.UnmapUnaligned"),
    ],
)
def test_what_needs_large_physical_blocks_passes_on_them(
    server: Server, family: str, name: str
) -> None:
    options = {"physical_block_size": "4096"}
    server.configure({**volume("demo", "memory"), "frontend_options": options})
    server.run("demo")
    verdicts, text = conformance.run(server.url(), family=family)
    server.stop()
    assert verdicts[name] == "pass", text
    assert set(verdicts.values()) <= {"pass", "skip"}, text
