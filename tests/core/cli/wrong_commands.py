"""Commands in wrong situations, and what whoever typed them is told.

`{here}` in a word stands for a folder of the test's own, in which `prepare` made what lies about.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs

WRONG_FILE = "volumes: [{name: demo}]\n"
RIGHT_FILE = "data_dir: ./empty\nvolumes: []\n"


@attrs.frozen
class Wrong:
    """One command.

    Attributes:
        what: The mistake in words.
        words: What is typed behind `tierce`.
        code: What it ends with.
        said: What is said, in part.
        typed: What is typed when a question is asked.
        environment: Variables that are set.
    """

    what: str
    words: tuple[str, ...]
    code: int
    said: str
    typed: str = ""
    environment: Mapping[str, str] = attrs.field(factory=dict)


def wrong(what: str, words: str, code: int, said: str, **more: str) -> Wrong:
    """Return one whose words hold no blanks; "_" stands for one."""
    environment = {key: more.pop(key) for key in list(more) if key.isupper()}
    return Wrong(what, tuple(words.split()), code, said, more.get("typed", ""), environment)


def prepare(here: Path) -> None:
    """Make what lies about."""
    (here / "empty").mkdir()
    (here / "letters").write_text("letters")
    (here / "wrong.yaml").write_text(WRONG_FILE)
    (here / "right.yaml").write_text(RIGHT_FILE)
    (here / "dead" / "run").mkdir(parents=True)
    (here / "dead" / "run" / "serve.sock").touch()
    (here / "in-a-file.yaml").write_text("data_dir: ./letters/data\nvolumes: []\n")
    (here / "no-plugin.yaml").write_text("plugins: {enable: [nothing]}\n")


_CREATE = "volume create new --size 1MiB --engine memory"

#: Where no server runs.
WITHOUT_SERVER = (
    wrong("an unknown command", "srve t.yaml", 2, "No such command 'srve'"),
    wrong("an unknown option", "--frob", 2, "No such option"),
    wrong("serve without a file", "serve", 2, "Missing argument 'FILE'. (see `tierce serve"),
    wrong("serve with two files", "serve a.yaml b.yaml", 2, "unexpected extra argument"),
    wrong("serve with an unknown option", "serve --fast t.yaml", 2, "No such option"),
    wrong("serve of a file that is not there", "serve {here}/absent.yaml", 3, "can't be read: No"),
    wrong("serve of a folder", "serve {here}/empty", 2, "is a directory"),
    wrong("serve of a wrong file", "serve {here}/wrong.yaml", 3, "wrong.yaml:1: volumes.demo: the"),
    wrong("serve in a file", "serve {here}/in-a-file.yaml", 3, "in-a-file.yaml:1: data_dir: "),
    wrong("an unknown command about volumes", "volume lst", 2, "No such command 'lst'"),
    wrong("list without a data folder", "volume list --data-dir {here}/no", 2, "no data folder"),
    wrong("list by a variable", "volume list", 2, "no data folder", TIERCE_DATA_DIR="/no/where"),
    wrong("list without a server", "volume list --data-dir {here}/empty", 6, "start one with"),
    wrong("list of a dead server", "volume list --data-dir {here}/dead", 6, "no server runs"),
    wrong("list in a file", "volume list --data-dir {here}/letters", 2, "is a file"),
    wrong("list of two data folders", "volume list --data-dir a --config b", 2, "give one"),
    wrong("list by a file that is not there", "volume list --config {here}/no", 3, "be read: No"),
    wrong("list by a wrong file", "volume list --config {here}/wrong.yaml", 3, "volumes.demo: the"),
    wrong("list by a right file", "volume list --config {here}/right.yaml", 6, "no server runs"),
    wrong("list in an unknown form", "volume list --output xml", 2, "'xml' is not one of"),
    wrong("check without a server", "volume list --check --data-dir {here}/empty", 6, "no server"),
    wrong("show of nothing", "volume show", 2, "Missing argument 'NAME'"),
    wrong("show of two", "volume show a b", 2, "unexpected extra argument"),
    wrong("show without a server", "volume show demo --data-dir {here}/empty", 6, "no server runs"),
    wrong("create of nothing", "volume create", 2, "Missing argument 'NAME'"),
    wrong("create without a size", "volume create a --engine memory", 2, "option '--size'"),
    wrong("create without an engine", "volume create a --size 1MiB", 2, "option '--engine'"),
    wrong("create without a server", f"{_CREATE} --data-dir {{here}}/empty", 6, "no server runs"),
    wrong("a block in words", f"{_CREATE} --block-size large", 2, "is not a valid integer"),
    wrong("an option without a value", f"{_CREATE} --option path", 2, "expected KEY=VALUE"),
    wrong("an option without a key", f"{_CREATE} --option =x", 2, "expected KEY=VALUE"),
    wrong("options that are no JSON", f"{_CREATE} --option {{{{", 2, "not JSON"),
    wrong("delete of nothing", "volume delete", 2, "Missing argument 'NAME'"),
    wrong(
        "delete without a server",
        "volume delete demo --yes --data-dir {here}/empty",
        6,
        "no server",
    ),
    wrong("delete, and no", "volume delete demo", 130, "nothing was done", typed="n\n"),
    wrong("delete, and nobody answers", "volume delete demo", 130, "nothing was done"),
    wrong("claim of nothing", "volume claim", 2, "Missing argument 'NAME'"),
    wrong("claim without a server", "volume claim demo --data-dir {here}/empty", 6, "no server"),
    wrong("adopt of nothing", "volume adopt", 2, "Missing argument 'FOLDERS...'"),
    wrong("adopt of what is not there", "volume adopt {here}/absent", 2, "does not exist"),
    wrong(
        "adopt of an empty folder",
        "volume adopt {here}/empty --data-dir {here}/data",
        2,
        "these folders hold no volume that can be adopted: ",
    ),
    wrong(
        "adopt by an engine that is none",
        "volume adopt {here}/empty --engine zfs --data-dir {here}/data",
        2,
        "no enabled engine 'zfs'",
    ),
    wrong("check of nothing", "config check", 2, "Missing argument 'FILE'"),
    wrong("check of what is not there", "config check {here}/absent", 3, "can't be read: No such"),
    wrong("check of a folder", "config check {here}/empty", 2, "is a directory"),
    wrong("show of a config that is not there", "config show {here}/absent", 3, "can't be read"),
    wrong(
        "a schema of plugins that are none", "config schema {here}/no-plugin.yaml", 3, "'nothing'"
    ),
    wrong("plugins of no config", "plugin list --config {here}/absent", 3, "can't be read"),
    wrong("show of no plugin", "plugin show", 2, "Missing argument 'NAME'"),
    wrong("show of an unknown plugin", "plugin show jvia", 4, "the nearest is 'jiva'"),
    wrong("explain an unknown plugin", "plugin explain jvia", 4, "the nearest is 'jiva'"),
    wrong("completion for no shell", "completion", 2, "Missing argument"),
    wrong("completion for a shell of old", "completion tcsh", 2, "'tcsh' is not one of"),
)

_FILE = "volume create new --size 1MiB --engine file --option"

#: Where one runs with the volumes `demo` of engine memory (the file's), `work` of engine file at
#: {here}/work.img, and `three` of engine jiva in {here}/r1, r2 and r3 (the state's both).
WITH_SERVER = (
    wrong("a second server", "serve {here}/tierce.yaml", 7, "is held by process"),
    wrong("another server at its port", "serve {here}/other.yaml", 7, "is taken by process"),
    wrong("show of an unknown volume", "volume show dmeo", 2, "there is no volume dmeo; there are"),
    wrong("create what is there", "volume create demo --size 1MiB --engine memory", 2, "already"),
    wrong("create in capitals", "volume create New --size 1MiB --engine memory", 2, "1 to 63 of"),
    wrong("a size of nothing", "volume create new --size 0 --engine memory", 2, "at least 512 B"),
    wrong("a size in words", "volume create new --size big --engine memory", 2, "a size such as"),
    wrong("a size in MB", "volume create new --size 1MB --engine memory", 2, "expected MiB"),
    wrong("a size that is no digit", "volume create new --size ² --engine memory", 2, "size such"),
    wrong("a size of no whole block", "volume create new --size 1000 --engine memory", 2, "512"),
    wrong("a size beyond all", "volume create new --size 2PiB --engine memory", 2, "at most 1 PiB"),
    wrong("a block of 1024", f"{_CREATE} --block-size 1024", 2, "expected one of 512, 4096"),
    wrong(
        "an engine that is none", "volume create new --size 1MiB --engine zfs", 2, "engine 'zfs'"
    ),
    wrong("a front end that is none", f"{_CREATE} --frontend nbd", 2, "front end 'nbd'"),
    wrong("an option of another", f"{_CREATE} --option path=x", 2, "unknown option 'path'"),
    wrong(
        "no option that is needed", "volume create new --size 1MiB --engine file", 2, "'path' is"
    ),
    wrong("a home folder", f"{_FILE} path=~/x.img", 2, "'~' is not replaced"),
    wrong("a file that is a folder", f"{_FILE} path={{here}}/empty", 2, "neither a file nor"),
    wrong("a file in a file", f"{_FILE} path={{here}}/letters/x", 7, "Not a directory"),
    wrong(
        "a file that holds something", f"{_FILE} path={{here}}/letters", 7, "has 7 bytes already"
    ),
    wrong("another volume's file", f"{_FILE} path={{here}}/work.img", 7, "work"),
    wrong("a device that is not there", f"{_FILE} path=/dev/sdzz", 2, "/dev/sdzz"),
    wrong("an IQN that is none", f"{_CREATE} --frontend-option iqn=x", 2, "is no iSCSI name"),
    wrong(
        "an IQN that is taken",
        f"{_CREATE} --frontend-option iqn=iqn.2026-11.io.tierce:demo",
        2,
        "volume demo is served as iqn.2026-11.io.tierce:demo already",
    ),
    wrong(
        "no replica",
        "volume create new --size 1MiB --engine jiva --option replicas=[]",
        2,
        "expected 1 to 7 replicas, got 0",
    ),
    wrong(
        "a replica in a folder that holds something",
        'volume create new --size 1MiB --engine jiva --option replicas=[{{"folder":"{here}"}}]',
        7,
        "is not empty",
    ),
    wrong(
        "a replica in another's folder",
        'volume create new --size 1MiB --engine jiva --option replicas=[{{"folder":"{here}/r1"}}]',
        7,
        "three",
    ),
    wrong("delete of an unknown volume", "volume delete dmeo --yes", 2, "there is no volume dmeo"),
    wrong(
        "delete of what the file names", "volume delete demo --yes", 2, "volume demo belongs to "
    ),
    wrong("cancel of no deletion", "volume delete work --cancel", 2, "is not being deleted"),
    wrong("claim of an unknown volume", "volume claim dmeo", 2, "there is no volume dmeo"),
    wrong(
        "claim of what nobody took", "volume claim demo", 2, "is not fenced: there is nothing to"
    ),
    wrong("no loss to accept", "volume accept-loss work --yes", 2, "nothing is in doubt"),
    wrong("adopt of what is known", "volume adopt {here}/r1 {here}/r2 {here}/r3", 2, "three"),
    wrong("adopt of a part", "volume adopt {here}/r1", 2, "replica-2"),
    wrong("adopt of an empty folder", "volume adopt {here}/empty", 2, "no volume that can be"),
)
