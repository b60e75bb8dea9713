"""The tree keeps its own rules: lists that must agree, sizes, words."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from measures.tree import place_of_test

ROOT = Path(__file__).resolve().parents[1]
PLUGINS = sorted(path.name for path in (ROOT / "plugins").iterdir() if any(path.glob("tierce_*")))
MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
#: Longer modules, each with its reason.
LONG_MODULES: dict[str, str] = {}
#: Longer functions, each with its reason.
LONG_FUNCTIONS = {
    "plugins/iscsi/tierce_iscsi/connection.py advance": "the loop over PDUs: a call in it costs",
}

_VALUE = "a value: what it says is tried by who acts on it"
_CONTRACT = "descriptions: tried by what takes plugins by them"
_PAGE = "a page that is generated: compared with what is checked in"
_SEEN = "tried by what an initiator sees of it, against a model of the medium"
#: Modules without a test module of their own name: what tests them instead, and why there.
TESTED_BY = {
    "core/tierce/block/device.py": (
        "core/volume/test_pipeline.py",
        "the base of devices: tried as the devices of a pipeline",
    ),
    "core/tierce/block/simple_filter.py": (
        "core/volume/test_simple_filter.py",
        "the base of filters on the simple level: tried by what makes devices of them",
    ),
    "core/tierce/block/filter.py": (
        "core/volume/test_boundary.py",
        "the base of filters: tried between a boundary and a device",
    ),
    "core/tierce/cli/data_folder.py": ("core/cli/test_volume.py", "options that every command has"),
    "core/tierce/cli/reference/calls_page.py": ("core/cli/test_docs.py", _PAGE),
    "core/tierce/cli/reference/causes_page.py": ("core/cli/test_docs.py", _PAGE),
    "core/tierce/cli/reference/cli_page.py": ("core/cli/test_docs.py", _PAGE),
    "core/tierce/cli/reference/config_page.py": ("core/cli/test_docs.py", _PAGE),
    "core/tierce/cli/reference/events_page.py": ("core/cli/test_docs.py", _PAGE),
    "core/tierce/cli/reference/exit_codes_page.py": ("core/cli/test_docs.py", _PAGE),
    "core/tierce/cli/reference/hooks_page.py": ("core/cli/test_docs.py", _PAGE),
    "core/tierce/cli/reference/markdown.py": ("core/cli/test_docs.py", _PAGE),
    "core/tierce/cli/reference/options.py": ("core/cli/test_docs.py", _PAGE),
    "core/tierce/cli/reference/pages.py": ("core/cli/test_docs.py", _PAGE),
    "core/tierce/cli/reference/plugins_page.py": ("core/cli/test_docs.py", _PAGE),
    "core/tierce/cli/reference/services_page.py": ("core/cli/test_docs.py", _PAGE),
    "core/tierce/cli/reference/states_page.py": ("core/cli/test_docs.py", _PAGE),
    "core/tierce/cli/serve.py": (
        "core/server/test_supervising.py",
        "two options; what it calls is tried there",
    ),
    "core/tierce/contexts.py": ("core/volume/test_opening.py", _VALUE),
    "core/tierce/descriptions.py": ("core/registry/test_checks.py", _CONTRACT),
    "core/tierce/hookspecs.py": ("core/registry/test_registry.py", _CONTRACT),
    "core/tierce/inventory/accepting.py": (
        "core/inventory/test_deleting.py",
        "a loss is accepted where deletions are, on the same folders",
    ),
    "core/tierce/inventory/capacity.py": (
        "core/inventory/test_preflight.py",
        "one of the checks before a start, tried with the others",
    ),
    "core/tierce/inventory/engines.py": (
        "core/inventory/test_volume_inventory.py",
        "reads records for the inventory, tried as that",
    ),
    "core/tierce/lifecycle.py": ("core/inventory/test_deleting.py", _CONTRACT),
    "core/tierce/member_lifecycle.py": ("core/inventory/test_apart.py", _CONTRACT),
    "core/tierce/server/fencing.py": (
        "core/server/test_supervising.py",
        "what fenced targets leave, tried where they end",
    ),
    "core/tierce/server/node.py": ("core/server/test_supervisor.py", _VALUE),
    "core/tierce/server/sighting.py": (
        "core/server/test_conditions.py",
        "gathers what conditions are judged by, tried as that",
    ),
    "core/tierce/options.py": ("core/registry/test_option_types.py", _CONTRACT),
    "core/tierce/policies.py": ("core/node/test_policies.py", _CONTRACT),
    "core/tierce/process/inbox.py": (
        "core/server/test_listeners.py",
        "the queue of a listener's thread, tried with one that hangs",
    ),
    "core/tierce/process/refusals.py": ("core/process/test_client.py", _VALUE),
    "core/tierce/reactor.py": (
        "core/process/test_epoll.py",
        "a protocol: tried as the loop that has it",
    ),
    "core/tierce/inventory/roll.py": ("core/inventory/test_applying.py", _VALUE),
    "core/tierce/registry/members.py": (
        "core/inventory/test_planning.py",
        "asks a lifecycle for members, tried by the processes that they become",
    ),
    "core/tierce/registry/lifecycles.py": (
        "jiva/test_strangers_store.py",
        "finds a store's lifecycle, tried by a stranger's store",
    ),
    "core/tierce/node/observing.py": (
        "core/node/test_servicing.py",
        "what a service sees, tried as a service",
    ),
    "core/tierce/node/policy_answers.py": (
        "core/node/test_policies.py",
        "checks what handlers answer, tried as handlers",
    ),
    "core/tierce/node/reconfiguring.py": (
        "core/node/test_target.py",
        "live options of a target's parts, tried on a target",
    ),
    "core/tierce/node/table.py": (
        "core/supervision/test_forking.py",
        "a table from roles to what starts them, tried by a fork",
    ),
    "core/tierce/record_place.py": ("jiva/test_record_file.py", _CONTRACT),
    "core/tierce/services.py": ("core/node/test_servicing.py", _CONTRACT),
    "core/tierce/spec.py": ("core/inventory/test_volume_inventory.py", _VALUE),
    "core/tierce/store_contexts.py": ("jiva/test_strangers_store.py", _VALUE),
    "core/tierce/state/check.py": (
        "core/state/test_store.py",
        "checks of values that are kept, tried by what is read back",
    ),
    "core/tierce/state/records.py": ("core/state/test_store.py", _VALUE),
    "core/tierce/volume/calling.py": (
        "core/volume/test_threads.py",
        "who calls a part: tried by the threads that it is called on",
    ),
    "core/tierce/tls.py": ("core/test_frontend.py", _VALUE),
    "core/tierce/supervision/child.py": ("core/supervision/test_children.py", _VALUE),
    "core/tierce/supervision/spawning.py": (
        "core/supervision/test_children.py",
        "one call of posix_spawn: tried by real processes in tests/system",
    ),
    "plugins/engines/tierce_engines/extents.py": (
        "engines/test_file.py",
        "splits extents for both engines, tried as theirs",
    ),
    "plugins/engines/tierce_engines/options.py": ("engines/test_file.py", _VALUE),
    "plugins/engines/tierce_engines/plugin.py": ("engines/test_file.py", _CONTRACT),
    "plugins/iscsi/tierce_iscsi/buffers.py": (
        "iscsi/test_memory.py",
        "memory is tried by who gets it",
    ),
    "plugins/iscsi/tierce_iscsi/pdu.py": (
        "iscsi/test_connection.py",
        "a format, tried by the exchanges that it makes up",
    ),
    "plugins/iscsi/tierce_iscsi/plugin.py": ("iscsi/test_options.py", _CONTRACT),
    "plugins/iscsi/tierce_iscsi/scsi/blocks.py": ("iscsi/scsi/test_any_command.py", _SEEN),
    "plugins/iscsi/tierce_iscsi/scsi/cdb.py": ("iscsi/scsi/test_any_command.py", _SEEN),
    "plugins/iscsi/tierce_iscsi/scsi/command.py": ("iscsi/scsi/test_device_server.py", _SEEN),
    "plugins/iscsi/tierce_iscsi/scsi/entry.py": ("iscsi/scsi/test_commands.py", _SEEN),
    "plugins/iscsi/tierce_iscsi/scsi/format_unit.py": ("iscsi/scsi/test_formatting.py", _SEEN),
    "plugins/iscsi/tierce_iscsi/scsi/limits.py": ("iscsi/scsi/test_vpd.py", _SEEN),
    "plugins/iscsi/tierce_iscsi/scsi/mode.py": ("iscsi/scsi/test_commands.py", _SEEN),
    "plugins/iscsi/tierce_iscsi/scsi/pausing.py": ("iscsi/scsi/test_thin.py", _SEEN),
    "plugins/iscsi/tierce_iscsi/scsi/registrations.py": ("iscsi/scsi/test_prout.py", _SEEN),
    "plugins/iscsi/tierce_iscsi/scsi/reservation_commands.py": (
        "iscsi/scsi/test_reservations.py",
        _SEEN,
    ),
    "plugins/iscsi/tierce_iscsi/scsi/sense.py": ("iscsi/scsi/test_commands.py", _SEEN),
    "plugins/iscsi/tierce_iscsi/scsi/simple.py": ("iscsi/scsi/test_commands.py", _SEEN),
    "plugins/iscsi/tierce_iscsi/scsi/supported_opcodes.py": ("iscsi/scsi/test_commands.py", _SEEN),
    "plugins/iscsi/tierce_iscsi/scsi/table.py": ("iscsi/scsi/test_commands.py", _SEEN),
    "plugins/iscsi/tierce_iscsi/text.py": (
        "iscsi/test_login.py",
        "texts, tried by the negotiations that they are",
    ),
    "plugins/iscsi/tierce_iscsi/text_exchange.py": (
        "iscsi/test_slow_path.py",
        "an exchange of the slow path, tried with the others",
    ),
    "plugins/jiva/tierce_jiva/adopting.py": (
        "jiva/test_lifecycle.py",
        "folders are read back where they were made",
    ),
    "plugins/jiva/tierce_jiva/files.py": (
        "jiva/test_durability.py",
        "system calls: what they leave is tried by losses of power",
    ),
    "plugins/jiva/tierce_jiva/host.py": ("jiva/test_replicator.py", _VALUE),
    "plugins/jiva/tierce_jiva/replica_actions.py": ("jiva/test_replica.py", _VALUE),
    "plugins/jiva/tierce_jiva/stored.py": (
        "jiva/test_removing.py",
        "a store's own calls by another name, tried by who makes and removes",
    ),
    **{
        f"plugins/exporters/tierce_exporters/dashboards/{name}.py": (
            "exporters/dashboards/test_pages.py",
            "a dashboard: tried with the others, as what is shipped",
        )
        for name in ("overview", "replica", "slow", "volume")
    },
    "plugins/engines/tierce_engines/events.py": ("core/test_core_events.py", _CONTRACT),
    "plugins/exporters/tierce_exporters/events.py": ("core/test_core_events.py", _CONTRACT),
    "plugins/iscsi/tierce_iscsi/events.py": ("core/test_core_events.py", _CONTRACT),
    "plugins/jiva/tierce_jiva/events.py": ("core/test_core_events.py", _CONTRACT),
    "plugins/jiva/tierce_jiva/findings.py": ("jiva/test_target_actions.py", _VALUE),
}


@cache
def tracked() -> tuple[Path, ...]:
    """The files that are committed or about to be."""
    words = ("git", "ls-files", "--cached", "--others", "--exclude-standard")
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return tuple(path for name in listed.stdout.splitlines() if (path := ROOT / name).is_file())


@cache
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def product_modules() -> list[Path]:
    """The modules that are installed, and the benchmark's."""
    rooms = ("core", "plugins", "benchmarks")
    return [
        path
        for path in tracked()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in rooms
    ]


def test_every_list_of_plugins_names_every_plugin() -> None:
    tools = project()["tool"]
    folders = [f"plugins/{name}" for name in PLUGINS]
    packages = [f"tierce_{name}" for name in PLUGINS]
    installed = ["core/tierce", *(f"plugins/{name}/tierce_{name}" for name in PLUGINS)]
    assert project()["project"]["entry-points"]["tierce.plugins"] == {
        name: f"tierce_{name}.plugin" for name in PLUGINS
    }
    assert tools["hatch"]["build"]["dev-mode-dirs"] == ["core", *folders]
    assert tools["hatch"]["build"]["targets"]["wheel"]["packages"] == installed
    assert tools["mypy"]["mypy_path"] == ["core", *folders, "tests"]
    assert tools["ruff"]["src"] == ["core", *folders, "tests"]
    contracts = {one["name"]: one for one in tools["importlinter"]["contracts"]}
    circles = contracts["no circles inside a package, not of types either"]
    assert circles["ancestors"] == ["tierce", *packages]
    assert tools["importlinter"]["root_packages"] == ["tierce", *packages]
    assert contracts["core knows no plugin"]["forbidden_modules"] == packages
    assert contracts["plugins do not know each other"]["modules"] == packages
    assert contracts["plugins use the public door only"]["source_modules"] == packages


def test_plugins_are_kept_from_every_room_of_core() -> None:
    contracts = {one["name"]: one for one in project()["tool"]["importlinter"]["contracts"]}
    forbidden = contracts["plugins use the public door only"]["forbidden_modules"]
    core = ROOT / "core" / "tierce"
    rooms = {path.stem for path in core.glob("*.py") if path.stem != "__init__"}
    rooms |= {path.parent.name for path in core.glob("*/__init__.py")}
    assert set(forbidden) == {f"tierce.{room}" for room in rooms}


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in product_modules()
    }
    long = {name: lines for name, lines in lengths.items() if lines > MODULE_LINES_MAX}
    assert long.keys() <= LONG_MODULES.keys(), long


def test_no_function_is_longer_than_a_screen() -> None:
    long = {}
    for path in product_modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    long[f"{path.relative_to(ROOT)} {node.name}"] = lines
    assert long.keys() <= LONG_FUNCTIONS.keys(), long


#: What is done in one place, for core and plugins alike: how it reads, and where it may stand.
WRITTEN_ONCE = {
    "fcntl.flock(": ["core/tierce/locking.py"],
    # The others are a line of a file, and a number of the kernel's.
    '.rpartition(":")': ["core/tierce/config/walking.py", "core/tierce/process/listening.py"],
    "errno.EDQUOT": ["core/tierce/block/status.py"],
    "def first_difference": ["core/tierce/block/comparison.py"],
    "there is no format 0": ["core/tierce/durable.py"],
    "PUNCH_HOLE": ["core/tierce/block/hole.py"],
    # What jiva's replicas alone call.
    "ctypes.CDLL(": [
        "core/tierce/libc.py",
        "plugins/jiva/tierce_jiva/file_identity.py",
        "plugins/jiva/tierce_jiva/files.py",
    ],
}


def test_core_keeps_and_sends_by_one_codec() -> None:
    """What lies or travels as JSON is made by `tierce.codec`; options are read by their parser."""
    own = re.compile(r"def \w*(?:to|from)_json\(|attrs\.asdict\(")
    modules = [path for path in product_modules() if path.is_relative_to(ROOT / "core")]
    found = [str(path.relative_to(ROOT)) for path in modules if own.search(path.read_text())]
    assert found == ["core/tierce/codec.py"]


@pytest.mark.parametrize("words", WRITTEN_ONCE)
def test_what_core_offers_is_written_once(words: str) -> None:
    modules = [path for path in product_modules() if path.is_relative_to(ROOT / "core")]
    modules += [path for path in product_modules() if path.is_relative_to(ROOT / "plugins")]
    found = [str(path.relative_to(ROOT)) for path in modules if words in path.read_text()]
    assert found == WRITTEN_ONCE[words]


#: What tests share, and where it may stand.
SHARED_BY_TESTS = {
    # The other one serves a process of its own, by the clock.
    "def call_soon(self": ["tests/core/fake_reactor.py", "tests/iscsi/standalone.py"],
    "replica.digested(": ["tests/jiva/shells.py"],
    "target.Restart():": ["tests/jiva/shells.py"],
    '"serve", str(self.': ["tests/serving/server.py"],
    "def is_alive(pid": ["tests/serving/processes.py"],
    "def free_port(": ["tests/serving/processes.py"],
    "def wait_until(": ["tests/serving/processes.py"],
    ".dist-info": ["tests/serving/strangers.py"],
}


@pytest.mark.parametrize("words", SHARED_BY_TESTS)
def test_what_tests_share_is_written_once(words: str) -> None:
    modules = [path for path in tracked() if path.is_relative_to(ROOT / "tests")]
    modules = [path for path in modules if path.suffix == ".py" and path != Path(__file__)]
    found = [str(path.relative_to(ROOT)) for path in modules if words in path.read_text()]
    assert found == SHARED_BY_TESTS[words]


def test_every_module_is_tested_by_its_own_module_or_by_one_that_is_named_with_a_reason() -> None:
    modules = {
        str(module.relative_to(ROOT)): place_of_test(module)
        for module in product_modules()
        if "benchmarks" not in module.parts and module.name != "__init__.py"
    }
    own = {name for name, place in modules.items() if place.exists()}
    assert modules.keys() - own == TESTED_BY.keys()
    assert [test for test, _why in TESTED_BY.values() if not (ROOT / "tests" / test).exists()] == []
    assert all(why for _test, why in TESTED_BY.values())


def is_text(path: Path) -> bool:
    return path.suffix in {".py", ".md", ".toml", ".yaml", ".json", ".c", ""} and path.is_file()


def test_nothing_names_the_machine_that_it_was_written_on() -> None:
    # Paths of a checkout or of a home folder, and hosts other than those documents point to.
    paths = re.compile(r"(?<![\w.\"'])/(?:work|root|home|Users)/\w")
    hosts = re.compile(r"https?://([\w.-]+)")
    known = {
        *("127.0.0.1", "localhost", "www.apache.org", "keepachangelog.com", "semver.org"),
        *("json-schema.org", "no-color.org"),
        # What stands for an address in documents.
        *("collector.example", "HOST"),
    }
    found = []
    for path in filter(is_text, tracked()):
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            strange = [host for host in hosts.findall(line) if host not in known]
            if paths.search(line) or strange:
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert found == []


def test_nothing_is_left_to_be_done_without_being_said() -> None:
    marker = re.compile(r"\b(?:T[O]DO|FIX[M]E|XX[X]|H[A]CK)\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in filter(is_text, tracked())
        if path.name != "LICENSE"
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if marker.search(line)
    ]
    assert found == []


def test_every_command_that_is_named_in_the_documents_exists_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    for path in tracked():
        if path.suffix == ".md":
            named = set(
                re.findall(r"`make ([a-z]+)|^\$ make ([a-z]+)", path.read_text(), re.MULTILINE)
            )
            words = {first or second for first, second in named}
            assert words <= targets, path
