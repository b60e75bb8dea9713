"""A stranger's engine, installed from its own folder, opened by its name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.volume.model import SIZE, Run, open_context, volume_spec
from tierce import Concurrency, Flag, Op, Request
from tierce.process.epoll import EpollReactor
from tierce.registry import Registry
from tierce.volume.pipeline import open_pipeline
from tierce.volume.statistics import StatisticsPage

EXAMPLE = Path(__file__).parents[2] / "examples" / "engine-in-20-lines"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The example as pip installs it; nothing is fetched."""
    pytest.importorskip("hatchling", reason="needs hatchling, from the dev extra, to build it")
    target = tmp_path_factory.mktemp("site")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-index", "--no-build-isolation", "--target", str(target)]
    subprocess.run([*install, *offline, str(EXAMPLE)], check=True, capture_output=True, timeout=60)
    sys.path.insert(0, str(target))
    yield target
    sys.path.remove(str(target))
    sys.modules.pop("tierce_xor", None)


def test_it_is_found_by_its_entry_point_with_the_package_it_came_from(installed: Path) -> None:
    registry = Registry.load()
    (record,) = [each for each in registry.plugins if each.name == "xor"]
    assert (record.state, record.package) == ("enabled", "tierce-xor"), record.reason
    assert registry.engines["xor"].concurrency is Concurrency.SERIAL


def test_it_keeps_what_it_was_given_through_a_whole_pipeline(
    installed: Path, tmp_path: Path
) -> None:
    reactor, page = EpollReactor(), StatisticsPage.create(tmp_path / "page")
    context = open_context(volume_spec(tmp_path, "xor"), reactor, page)
    run = Run(open_pipeline(context, Registry.load(), page.publish).device, reactor)
    data = bytes(range(256)) * 16
    run.submit(Request(Op.WRITE, 4096, len(data), memoryview(data), flags=Flag.FUA))
    run.submit(Request(Op.WRITE_ZEROES, 4096, 512))
    run.submit(Request(Op.COMPARE_AND_WRITE, 0, 512, memoryview(bytes(512) + b"s" * 512)))
    whole = run.submit(Request(Op.READ, 0, SIZE, memoryview(bytearray(SIZE))))[0]
    assert whole.status is not None
    assert whole.status.is_good, whole.status
    assert whole.buffer is not None
    assert bytes(whole.buffer[:512]) == b"s" * 512
    assert bytes(whole.buffer[4096 : 4096 + len(data)]) == bytes(512) + data[512:]
    run.close()
    page.close()
    reactor.close()


def test_it_is_as_short_as_its_folder_says() -> None:
    source = (EXAMPLE / "tierce_xor.py").read_text().splitlines()
    assert len([line for line in source if line.strip()]) <= 20
