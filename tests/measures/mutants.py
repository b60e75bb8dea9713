"""Random mutants: does any test notice when a line of the product is wrong?

`make mutants N=100 SEED=7` changes one thing at a time in a copy of the tree, and runs the tests
that should notice: those of the module, then those of its folder, then all. Prints each mutant with
its place and its change, and how many were killed. A mutant that survives is a line that no test
holds, or one whose change changes nothing: a person has to say which.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import attrs

from measures.mutations import Mutation, mutations
from measures.tree import ROOT, place_of_test, python_files, tracked

#: Where mutants live.
PRODUCT = ("core", "plugins/jiva")
#: A mutant that lets the tests run for longer hangs, which is noticed.
TIMEOUT_S = 900.0
#: What judges the tree's own form says nothing of what a line does.
_NOT_ASKED = ("tests/test_repository.py", "tests/test_documents.py", "tests/measures")


@attrs.frozen
class Mutant:
    """One change in one module.

    Attributes:
        module: The module, below the root.
        mutation: The change.
    """

    module: Path
    mutation: Mutation


def pick(modules: list[Path], count: int, seed: int) -> list[Mutant]:
    """Return so many mutants, the same ones for the same seed and tree."""
    every = [
        Mutant(module.relative_to(ROOT), one)
        for module in sorted(modules)
        for one in mutations(module.read_bytes())
    ]
    return random.Random(seed).sample(every, min(count, len(every)))


def steps(module: Path) -> list[list[str]]:
    """Return what is run, one after another, until something fails: the nearest tests first."""
    own = place_of_test(ROOT / module)
    nearest = [str(own.relative_to(ROOT))] if own.exists() else []
    folder = own.parent if own.parent.exists() else own.parents[1]
    return [*([nearest] if nearest else []), [str(folder.relative_to(ROOT))], ["tests"]]


class Copy:
    """A copy of the tree, whose modules are imported instead of ours."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for path in tracked():
            place = folder / path.relative_to(ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, place)
        products = ["core", *(f"plugins/{path.name}" for path in (folder / "plugins").iterdir())]
        self._env = {
            **{name: value for name, value in os.environ.items() if name != "CI"},
            "PYTHONPATH": os.pathsep.join(str(folder / one) for one in products),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def is_sound(self) -> bool:
        """Return True if all tests pass before anything is changed."""
        return self._passes(["tests"])

    def survives(self, mutant: Mutant) -> bool:
        """Return True if no test notices."""
        place = self.folder / mutant.module
        source = place.read_bytes()
        place.write_bytes(mutant.mutation.apply(source))
        try:
            return all(self._passes(words) for words in steps(mutant.module))
        finally:
            place.write_bytes(source)

    def _passes(self, words: list[str]) -> bool:
        options = ["-q", "-x", "-p", "no:cacheprovider", f"--basetemp={self.folder}/tmp"]
        options += [f"--ignore={one}" for one in _NOT_ASKED]
        command = [sys.executable, "-m", "pytest", *options, *words]
        try:
            done = subprocess.run(
                command,
                cwd=self.folder,
                env=self._env,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                stdin=subprocess.DEVNULL,
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
        # A folder without tests of its own (5) has noticed nothing.
        return done.returncode in (0, 5)


def main() -> int:
    """Make mutants and tell which of them live."""
    parser = argparse.ArgumentParser(prog="python -m measures.mutants", description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--skip", type=int, default=0, help="begin with a later one")
    parser.add_argument("--floor", type=float, default=0.8, help="the share that must be killed")
    options = parser.parse_args()
    picked = pick(python_files(*PRODUCT), options.count, options.seed)[options.skip :]
    print(f"{len(picked)} mutants of seed {options.seed}", flush=True)
    killed = 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Copy(Path(folder))
        if not copy.is_sound():
            print("the tests fail as things are: mend that first", file=sys.stderr)
            return 2
        for number, mutant in enumerate(picked, 1 + options.skip):
            lives = copy.survives(mutant)
            killed += not lives
            what = mutant.mutation.describe((copy.folder / mutant.module).read_bytes())
            word = "SURVIVED" if lives else "killed"
            print(f"{number:4} {word:8} {mutant.module}:{mutant.mutation.line}: {what}", flush=True)
    print(f"{killed} of {len(picked)} killed (seed {options.seed})")
    return 0 if killed >= options.floor * len(picked) else 1


if __name__ == "__main__":
    sys.exit(main())
