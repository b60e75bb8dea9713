"""What people point at a volume: qemu-img, qemu-io, libiscsi's tools."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.server import IQN, Server
from serving.volumes import jiva, volume

pytestmark = pytest.mark.system

ENGINES: dict[str, dict[str, Any]] = {
    "jiva": jiva("demo"),
    "file": volume("demo", "file", path="./demo.img"),
    "memory": volume("demo", "memory"),
}


def run(*words: str | Path) -> str:
    """Run a program that must succeed."""
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(params=list(ENGINES))
def served(request: pytest.FixtureRequest, server: Server) -> Iterator[Server]:
    server.configure(ENGINES[request.param])
    server.run("demo")
    yield server
    server.stop()


@pytest.mark.needs("libiscsi", "qemu-img")
def test_qemu_img_converts_in_compares_and_converts_out(served: Server, tmp_path: Path) -> None:
    source = tmp_path / "source.raw"
    chooser = random.Random(1)
    with source.open("wb") as out:
        for _piece in range(24):
            out.write(chooser.randbytes(1 << 20))
            out.seek(chooser.randrange(1 << 20) & ~511, 1)
        out.truncate(64 << 20)
    run("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", source, served.url())
    run("qemu-img", "compare", "-f", "raw", "-F", "raw", source, served.url())
    back = tmp_path / "back.raw"
    run("qemu-img", "convert", "-f", "raw", "-O", "raw", served.url(), back)
    assert back.read_bytes() == source.read_bytes()


@pytest.mark.needs("libiscsi", "qemu-img", "qemu-io")
def test_qemu_img_sees_which_parts_of_a_volume_hold_data(served: Server) -> None:
    def data() -> list[tuple[int, int]]:
        mapped = json.loads(run("qemu-img", "map", "--output=json", "-f", "raw", served.url()))
        return [(part["start"], part["length"]) for part in mapped if part["data"]]

    def do(command: str) -> None:
        run("qemu-io", "-f", "raw", "-t", "none", "-d", "unmap", "-c", command, served.url())

    mib = 1 << 20
    assert data() == []
    do("write -P 1 4M 2M")
    do("write -P 2 63M 1M")
    assert data() == [(4 * mib, 2 * mib), (63 * mib, mib)]
    do("discard 5M 1M")
    assert data() == [(4 * mib, mib), (63 * mib, mib)]


@pytest.mark.needs("libiscsi", "qemu-img")
@pytest.mark.parametrize("options", [(), ("-w",), ("-w", "--flush-interval", "64")])
def test_qemu_img_bench_runs_at_depth_64(served: Server, options: tuple[str, ...]) -> None:
    # -t none: without it qemu flushes after every write.
    words = ("-f", "raw", "-t", "none", "-c", "2000", "-d", "64", "-s", "4096")
    said = run("qemu-img", "bench", *words, *options, served.url())
    assert "Run completed" in said


@pytest.mark.needs("libiscsi", "qemu-io")
def test_qemu_io_reads_back_every_pattern(served: Server) -> None:
    commands = (
        "write -P 1 0 1M",
        "write -P 2 512 512",
        "aio_write -P 3 2M 4M",
        "aio_flush",
        "write -z 3M 64k",
        "discard 4M 1M",
        "write -f -P 4 63M 1M",
        "flush",
        "read -P 1 0 512",
        "read -P 2 512 512",
        "read -P 1 1024 1023k",
        "read -P 3 2M 1M",
        "read -P 0 3M 64k",
        "read -P 0 4M 1M",
        "read -P 3 5M 1M",
        "read -P 4 63M 1M",
        "read -P 0 32M 1M",
    )
    words = [word for command in commands for word in ("-c", command)]
    said = run("qemu-io", "-f", "raw", "-t", "none", "-d", "unmap", *words, served.url())
    assert "Pattern verification failed" not in said
    assert "rror" not in said


@pytest.mark.needs("libiscsi", "qemu-io")
def test_qemu_reads_and_discards_volumes_of_4096_byte_blocks(server: Server) -> None:
    server.configure({**ENGINES["memory"], "block_size": 4096})
    server.run("demo")
    for command in ("write -P 7 0 4M", "read -P 7 0 32k", "read -P 7 0 4M", "discard 0 1M"):
        said = run("qemu-io", "-f", "raw", "-t", "none", "-c", command, server.url())
        assert "failed" not in said
    server.stop()


@pytest.mark.needs("libiscsi", "iscsi-ls")
def test_libiscsi_tools_find_the_volume_and_its_size(served: Server) -> None:
    portal = f"iscsi://127.0.0.1:{served.port}"
    listed = run("iscsi-ls", "-s", portal)
    assert f"Target:{IQN}:demo Portal:127.0.0.1:{served.port}" in listed
    assert "Lun:0" in listed
    assert "Type:DIRECT_ACCESS" in listed
    assert "Peripheral Device Type:DIRECT_ACCESS" in run("iscsi-inq", served.url())
    for page in ("0x00", "0x80", "0x83", "0xb0", "0xb2"):
        run("iscsi-inq", "-e", "1", "-c", page, served.url())
    capacity = run("iscsi-readcapacity16", served.url())
    assert f"Total size:{64 << 20}" in capacity


@pytest.mark.needs("libiscsi")
def test_a_file_engine_holds_what_the_initiator_wrote_where_it_wrote_it(server: Server) -> None:
    server.configure(ENGINES["file"])
    server.run("demo")
    session = server.session()
    session.write_now(1 << 20, b"here" * 1024)
    session.flush_now()
    session.close()
    assert (server.folder / "demo.img").read_bytes()[1 << 20 :][:4096] == b"here" * 1024
