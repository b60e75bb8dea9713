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

#: Rooms and modules without a test module of their own name, and what tests them instead: values
#: and descriptions by those who use them, state machines by the ladders that drive them together.
TESTED_BY = {
    "plugins/engines/tierce_engines/events.py": "core/test_core_events.py",
    "plugins/iscsi/tierce_iscsi/events.py": "core/test_core_events.py",
    "plugins/jiva/tierce_jiva/events.py": "core/test_core_events.py",
    "plugins/jiva/tierce_jiva/findings.py": "jiva/test_target_actions.py",
    "core/tierce/block/": "core/volume/test_pipeline.py",
    "core/tierce/cli/reference/": "core/cli/test_docs.py",
    "core/tierce/cli/data_folder.py": "core/server/test_volume_commands.py",
    "core/tierce/cli/serve.py": "core/server/test_serving.py",
    "core/tierce/cli/volume.py": "core/server/test_volume_commands.py",
    "core/tierce/contexts.py": "core/volume/test_pipeline.py",
    "core/tierce/descriptions.py": "core/registry/test_checks.py",
    "core/tierce/errors.py": "core/cli/test_main.py",
    "core/tierce/hookspecs.py": "core/registry/test_registry.py",
    "core/tierce/lifecycle.py": "core/inventory/test_deleting.py",
    "core/tierce/inventory/accepting.py": "core/inventory/test_deleting.py",
    "core/tierce/inventory/capacity.py": "core/inventory/test_preflight.py",
    "core/tierce/inventory/changes.py": "core/inventory/test_volume_inventory.py",
    "core/tierce/inventory/deciding.py": "core/inventory/test_volume_inventory.py",
    "core/tierce/inventory/engines.py": "core/inventory/test_volume_inventory.py",
    "core/tierce/inventory/planning.py": "core/inventory/test_differing.py",
    "core/tierce/server/action_requests.py": "core/server/test_acting.py",
    "core/tierce/server/commands.py": "core/server/test_wrong_commands.py",
    "core/tierce/server/inspecting.py": "core/server/test_volume_commands.py",
    "core/tierce/server/node.py": "core/server/test_supervisor.py",
    "core/tierce/server/routing.py": "core/server/test_serving.py",
    "core/tierce/server/sighting.py": "core/server/test_conditions.py",
    "core/tierce/server/telling.py": "core/server/test_side_processes.py",
    "core/tierce/process/asking.py": "core/server/test_side_processes.py",
    "core/tierce/process/inbox.py": "core/server/test_listeners.py",
    "core/tierce/process/refusals.py": "core/server/test_volume_commands.py",
    "core/tierce/registry/lifecycles.py": "jiva/test_strangers_store.py",
    "core/tierce/node/member.py": "core/server/test_serving.py",
    "core/tierce/node/observing.py": "core/node/test_servicing.py",
    "core/tierce/node/policy_answers.py": "core/node/test_policies.py",
    "core/tierce/node/reconfiguring.py": "core/server/test_live_filter.py",
    "core/tierce/node/table.py": "core/server/test_serving.py",
    "core/tierce/supervision/child.py": "core/supervision/test_children.py",
    "core/tierce/supervision/spawning.py": "core/supervision/test_children.py",
    "core/tierce/options.py": "core/registry/test_option_types.py",
    "core/tierce/policies.py": "core/node/test_policies.py",
    "core/tierce/reactor.py": "core/process/test_epoll.py",
    "core/tierce/services.py": "core/node/test_servicing.py",
    "core/tierce/spec.py": "core/config/test_model.py",
    "core/tierce/stage.py": "core/volume/test_pipeline.py",
    "core/tierce/state/check.py": "core/state/test_store.py",
    "core/tierce/state/records.py": "core/state/test_store.py",
    "plugins/engines/tierce_engines/": "engines/test_file.py",
    # Memory by who gets it; the socket's shell by the front end that has it.
    "plugins/iscsi/tierce_iscsi/buffers.py": "iscsi/test_memory.py",
    "plugins/iscsi/tierce_iscsi/endpoint.py": "iscsi/test_frontend.py",
    # Formats and texts by the exchanges that they make up.
    "plugins/iscsi/tierce_iscsi/pdu.py": "iscsi/test_connection.py",
    "plugins/iscsi/tierce_iscsi/text.py": "iscsi/test_login.py",
    "plugins/iscsi/tierce_iscsi/text_exchange.py": "iscsi/test_slow_path.py",
    "plugins/iscsi/tierce_iscsi/plugin.py": "iscsi/test_options.py",
    # Commands by what an initiator sees of them, each against a model of the medium.
    "plugins/iscsi/tierce_iscsi/scsi/blocks.py": "iscsi/scsi/test_any_command.py",
    "plugins/iscsi/tierce_iscsi/scsi/cdb.py": "iscsi/scsi/test_any_command.py",
    "plugins/iscsi/tierce_iscsi/scsi/command.py": "iscsi/scsi/test_device_server.py",
    "plugins/iscsi/tierce_iscsi/scsi/entry.py": "iscsi/scsi/test_commands.py",
    "plugins/iscsi/tierce_iscsi/scsi/format_unit.py": "iscsi/scsi/test_formatting.py",
    "plugins/iscsi/tierce_iscsi/scsi/limits.py": "iscsi/scsi/test_vpd.py",
    "plugins/iscsi/tierce_iscsi/scsi/mode.py": "iscsi/scsi/test_commands.py",
    "plugins/iscsi/tierce_iscsi/scsi/pausing.py": "iscsi/scsi/test_thin.py",
    "plugins/iscsi/tierce_iscsi/scsi/registrations.py": "iscsi/scsi/test_prout.py",
    "plugins/iscsi/tierce_iscsi/scsi/reservation_commands.py": "iscsi/scsi/test_reservations.py",
    "plugins/iscsi/tierce_iscsi/scsi/sense.py": "iscsi/scsi/test_commands.py",
    "plugins/iscsi/tierce_iscsi/scsi/simple.py": "iscsi/scsi/test_commands.py",
    "plugins/iscsi/tierce_iscsi/scsi/supported_opcodes.py": "iscsi/scsi/test_commands.py",
    "plugins/iscsi/tierce_iscsi/scsi/table.py": "iscsi/scsi/test_commands.py",
    # How folders are read back is part of the lifecycle; its tests have the folders.
    "plugins/jiva/tierce_jiva/adopting.py": "jiva/test_lifecycle.py",
    # System calls by their own names: what they leave is what a loss of power is tried on.
    "plugins/jiva/tierce_jiva/files.py": "jiva/test_durability.py",
    # A store's own calls by another name: by those who make and remove with them.
    "plugins/jiva/tierce_jiva/stored.py": "jiva/test_removing.py",
    # Values and descriptions: by those who use them.
    "plugins/jiva/tierce_jiva/host.py": "jiva/test_replicator.py",
    "plugins/jiva/tierce_jiva/replica_actions.py": "jiva/test_replica.py",
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


def place_of_test(module: Path) -> Path:
    """Return where a module's test module lies if the tree is mirrored."""
    parts = module.relative_to(ROOT).parts
    rooms = parts[2:-1] if parts[0] == "core" else parts[3:-1]
    first = "core" if parts[0] == "core" else parts[1]
    return ROOT.joinpath("tests", first, *rooms, f"test_{module.name}")


def who_tests(module: Path) -> Path:
    """Return what tests a module: its own, or what is said to test it or its room."""
    own = place_of_test(module)
    name = str(module.relative_to(ROOT))
    said = TESTED_BY.get(name) or TESTED_BY.get(f"{Path(name).parent}/")
    if own.exists() or said is None:
        return own
    return ROOT / "tests" / said


def test_every_module_is_tested_by_a_module_that_exists() -> None:
    modules = [path for path in product_modules() if "benchmarks" not in path.parts]
    places = {str(module.relative_to(ROOT)): who_tests(module) for module in modules}
    untested = [
        name
        for name, place in places.items()
        if Path(name).name != "__init__.py" and not place.exists()
    ]
    assert untested == []
    assert [name for name in TESTED_BY if not (ROOT / name).exists()] == []


def is_text(path: Path) -> bool:
    return path.suffix in {".py", ".md", ".toml", ".yaml", ".json", ".c", ""} and path.is_file()


def test_nothing_names_the_machine_that_it_was_written_on() -> None:
    # Paths of a checkout or of a home folder, and hosts other than those documents point to.
    paths = re.compile(r"(?<![\w.\"'])/(?:work|root|home|Users)/\w")
    hosts = re.compile(r"https?://([\w.-]+)")
    known = {
        *("127.0.0.1", "localhost", "www.apache.org", "keepachangelog.com", "semver.org"),
        *("json-schema.org", "no-color.org"),
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
