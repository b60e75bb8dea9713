"""Jaeger and an OpenTelemetry collector, built from source: what exporters send to in the tests.

One Go module pins both by go.sum. Jaeger's program is built as it is released, the collector of
collector/main.go, which has the receivers that Tierce sends to. Building takes some CPU minutes the
first time; what was built stays in build/peers until one of these files changes.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILT = HERE.parents[2] / "build" / "peers"
#: What building needs: its version is in go.mod, which is newer than Debian's.
PROGRAM = "go"
#: What is built, by the program's name: the packages of this module.
PACKAGES = {
    "all-in-one": "github.com/jaegertracing/jaeger/cmd/all-in-one",
    "collector": "./collector",
}
RECIPE = ("built.py", "go.mod", "go.sum", "collector/main.go")
BUILD_TIMEOUT_S = 3600


class BuildError(Exception):
    """They can't be built here; the message says why."""


def peers() -> Path:
    """Return the folder of the programs, built first if they aren't there."""
    BUILT.mkdir(parents=True, exist_ok=True)
    finished = BUILT / f"peers-{recipe_digest()}"
    # Two runs of the tests may want them at once.
    with (BUILT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not finished.exists():
            for old in BUILT.glob("peers-*"):
                shutil.rmtree(old)
            making = BUILT / "making"
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir()
            for name, package in PACKAGES.items():
                _build(making / name, package)
            making.rename(finished)
    return finished


def recipe_digest() -> str:
    """Return what changes when programs built before are of no use any more."""
    digest = hashlib.sha256()
    for name in RECIPE:
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()[:16]


def _build(program: Path, package: str) -> None:
    go = shutil.which(PROGRAM)
    if go is None:
        raise BuildError(f"there is no {PROGRAM}; the version that is needed is in go.mod")
    # Read only: what is not in go.sum as it is here is not built.
    words = [go, "build", "-mod=readonly", "-buildvcs=false"]
    done = subprocess.run(
        [*words, "-ldflags=-s -w", "-o", str(program), package],
        cwd=HERE,
        env={**os.environ, "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise BuildError(f"go build {package}: {done.stderr or done.stdout}")


if __name__ == "__main__":
    print(peers())
