"""Config files with one mistake each, and what whoever wrote it is told.

`python -m core.cli.wrong_configs` (with tests/ on the path) prints the table.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import attrs

RIGHT = """\
data_dir: ./data
frontends:
  iscsi:
    listen: ["127.0.0.1:3260"]
limits:
  stop_timeout_s: 10
volumes:
  - name: demo
    size: 64 MiB
    block_size: 512
    engine: jiva
    options:
      replicas:
        - folder: ./a
        - folder: ./b
        - folder: ./c
    frontend: iscsi
    frontend_options:
      read_only: false
  - name: other
    size: 1 MiB
    engine: file
    options:
      path: ./other.img
    frontend: iscsi
"""


@attrs.frozen
class Mistake:
    """One mistake.

    Attributes:
        what: In words.
        right: What is right in RIGHT; empty to add `wrong` at the end.
        wrong: What stands there instead.
        line: The line that is named.
        said: What is said, in part.
        prepare: Makes what lies about in the folder.
    """

    what: str
    right: str
    wrong: str
    line: int
    said: str
    prepare: Callable[[Path], object] | None = None

    def write(self, folder: Path) -> Path:
        """Write the file, and what lies beside it."""
        if self.prepare is not None:
            self.prepare(folder)
        text = RIGHT.replace(self.right, self.wrong, 1) if self.right else RIGHT + self.wrong
        assert text != RIGHT, self.what
        path = folder / "t.yaml"
        # What is no UTF-8 is written by escapes.
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        return path


def _file(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text("letters")


def _folder(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).mkdir(parents=True)


def _link(name: str, to: str) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        (folder / to).mkdir()
        (folder / name).symlink_to(to)

    return make


_PATH = "expected a path, got "
_SIZE = "expected a size such as 64 KiB or 1 GiB, got "
_ADDRESS = "expected HOST:PORT or [V6]:PORT, got "

YAML = (
    Mistake("a tab", "  iscsi:\n", "\tiscsi:\n", 3, "a tab; YAML is indented with spaces"),
    Mistake("a brace left open", "size: 64 MiB", "size: {", 11, "a flow mapping of line 9"),
    Mistake("a quote left open", "name: demo", 'name: "demo', 8, "end of stream, while"),
    Mistake("no space after a colon", "size: 64 MiB", "size:64 MiB", 9, "a colon and a blank"),
    Mistake("an indent that fits nothing", "    size: 64", "   size: 64", 9, "indent it as they"),
    Mistake("two documents", "", "---\nvolumes: []\n", 26, "a second document"),
    Mistake("a list at the top", RIGHT, "- a\n", 1, "expected a mapping, got a list"),
    Mistake("a word at the top", RIGHT, "hello\n", 1, "expected a mapping, got the text 'hello'"),
    Mistake("nothing but a comment", RIGHT, "# nothing\n", 1, "empty; expected at least"),
    Mistake("letters of another code", "", "# gr\udcf6\n", 26, "not UTF-8: byte 0xf6"),
    Mistake("a NUL", "", "# \0\n", 26, "the character U+0000 is not allowed"),
    Mistake("a key twice", "", "data_dir: x\n", 26, "'data_dir' is here twice, first in line 1"),
    Mistake("a key that is a number", "", "5: x\n", 26, "the key 5 is not text"),
    Mistake("a key that is a list", "", "[a]: x\n", 26, "a list or mapping can't be a key"),
    Mistake("a tag", "size: 64 MiB", "size: !!timestamp 1", 9, "the tag "),
    Mistake("an alias to nowhere", "size: 64 MiB", "size: *x", 9, "undefined alias"),
    Mistake("deep nesting", "", f"x: {'[' * 5000}{']' * 5000}\n", 26, "nested deeper than 50"),
    Mistake("an alias to itself", "", "x: &x [*x]\n", 26, "nested deeper than 50"),
    Mistake("a very long number", "stop_timeout_s: 10", f"stop_timeout_s: {'9' * 500}", 6, "long"),
)

KEYS = (
    Mistake("a misspelt section", "volumes:", "volume:", 7, "the nearest is 'volumes'"),
    Mistake("a misspelt limit", "stop_timeout_s", "stop_timeout", 6, "'stop_timeout_s'"),
    Mistake("a misspelt key of a volume", "size: 64", "sise: 64", 9, "the nearest is 'size'"),
    Mistake("a misspelt option", "replicas:", "replica:", 13, "the nearest is 'replicas'"),
    Mistake("a misspelt key of a replica", "folder: ./b", "dir: ./b", 15, "unknown option 'dir'"),
    Mistake("a misspelt option of a volume", "read_only", "readonly", 19, "'read_only'"),
    Mistake("a misspelt option of iSCSI", "listen:", "listens:", 4, "the nearest is 'listen'"),
    Mistake("a misspelt front end", "  iscsi:", "  iscis:", 3, "the nearest is 'iscsi'"),
    Mistake("a key of another engine", "path: ./other.img", "folder: ./x", 24, "option 'folder'"),
    Mistake("a section that is a list", "  stop_timeout_s: 10", "  - a", 5, "limits: expected a m"),
    Mistake("a section that is a word", "limits:\n  stop", "limits: x\n#  stop", 5, "a mapping"),
    Mistake("volumes by name", RIGHT, "volumes: {demo: {size: 1 MiB}}\n", 1, "expected a list"),
    Mistake("a volume that is a word", "", "  - word\n", 26, "expected a mapping, got the text"),
    Mistake("options in a list", "options:\n      path", "options:\n      - path", 23, "a mapping"),
    Mistake("no name", "- name: demo\n    size", "- size", 8, "the option 'name' is missing"),
    Mistake("no size", "    size: 64 MiB\n", "", 8, "the option 'size' is missing"),
    Mistake("no engine", "    engine: file\n", "", 20, "the option 'engine' is missing"),
    Mistake("no front end", "    frontend: iscsi\n    f", "    f", 8, "'frontend' is missing"),
    Mistake("no options", "    options:\n      path: ./other.img\n", "", 20, "'path' is missing"),
    Mistake("replicas without a folder", "- folder: ./c", "- address: 127.0.0.1:1", 16, "'folder'"),
)

NAMES = (
    Mistake("a name in capitals", "name: demo", "name: Demo", 8, "expected 1 to 63 of a-z"),
    Mistake("a name with a dot", "name: demo", "name: a.b", 8, "expected 1 to 63 of a-z"),
    Mistake("a name with a blank", "name: demo", "name: my disk", 8, "expected 1 to 63 of a-z"),
    Mistake("a name that is a number", "name: demo", "name: 007", 8, "put quotes around it"),
    Mistake("a name that begins with a digit", "name: demo", "name: 1a", 8, "starting with a"),
    Mistake("no name behind the colon", "name: demo", "name:", 8, "expected text, got nothing"),
    Mistake("a name too long", "name: demo", f"name: {'a' * 64}", 8, "expected 1 to 63"),
    Mistake("a name twice", "name: other", "name: demo", 20, "there is a volume 'demo' already"),
    Mistake("an engine that is none", "engine: file", "engine: fiel", 22, "the nearest is 'file'"),
    Mistake(
        "a front end that is none", "frontend: iscsi\n    f", "frontend: nbd\n    f", 17, "'nbd'"
    ),
    Mistake("a filter that is none", "", "    filters: [{name: qos}]\n", 26, "the filter 'qos'"),
    Mistake("a filter by its word", "", "    filters: [qos]\n", 26, "expected a mapping, got"),
    Mistake("a plugin that is not there", "", "plugins: {enable: [jvia]}\n", 26, "not installed"),
    Mistake("a plugin left out that is used", "", "plugins: {disable: [jiva]}\n", 11, "'jiva'"),
    Mistake("a service that is none", "", "services: {prom: {}}\n", 26, "service 'prom'"),
    Mistake("a policy that is none", "", "policies: [{kind: x, name: a}]\n", 26, "handler 'x'"),
)

NUMBERS = (
    Mistake("a size in GB", "64 MiB", "64 MB", 9, "'MB' is not known; expected MiB"),
    Mistake("a size in words", "64 MiB", "large", 9, f"{_SIZE}'large'"),
    Mistake("a size below nothing", "64 MiB", "-1", 9, "expected at least 512 B"),
    Mistake("a size of nothing", "64 MiB", "0", 9, "expected at least 512 B"),
    Mistake("a size with commas", "64 MiB", "67,108,864", 9, _SIZE),
    Mistake("a size in scientific letters", "64 MiB", "1e6", 9, f"{_SIZE}the number"),
    Mistake("a size that is endless", "64 MiB", ".inf", 9, f"{_SIZE}'.inf'"),
    Mistake("a size beyond all disks", "64 MiB", "2 PiB", 9, "expected at most 1 PiB"),
    Mistake("a size that is no whole block", "64 MiB", "1000", 9, "the nearest below is 512"),
    Mistake("half a byte", "64 MiB", "0.3 KiB", 9, "is no whole number of bytes"),
    Mistake("a size that is true", "64 MiB", "true", 9, f"{_SIZE}true"),
    Mistake("a block of 1024", "block_size: 512", "block_size: 1024", 10, "one of 512, 4096"),
    Mistake("a block in words", "block_size: 512", "block_size: small", 10, _SIZE),
    Mistake("a limit below its least", "_s: 10", "_s: 0", 6, "expected at least 0.1 s"),
    Mistake("a limit beyond its most", "_s: 10", "_s: 1 d", 6, "expected at most 600 s"),
    Mistake("a limit with a wrong unit", "_s: 10", "_s: 10 seconds", 6, "'seconds' is not known"),
    Mistake("a limit as a clock shows it", "_s: 10", "_s: 1:30", 6, "expected a duration"),
    Mistake("too few events", "stop_timeout_s", "event_count_max", 6, "expected at least 100"),
    Mistake("events by halves", "stop_timeout_s: 10", "event_count_max: 1.5", 6, "a whole number"),
    Mistake("told after it is killed", "_s: 10", "_s: 10\n  silence_told_s: 60", 5, "not above"),
    Mistake(
        "no session at all", "    listen", "    session_count_max: 0\n    listen", 4, "least 1"
    ),
    Mistake("a deep queue", "    listen", "    queue_depth: 5000\n    listen", 4, "at most 1024"),
    Mistake("a login within no time", "    listen", "    login_timeout_s: 0\n    listen", 4, "1 s"),
    Mistake("a switch in words", "read_only: false", "read_only: no", 19, "expected true or false"),
    Mistake("a vendor too long", "read_only: false", "vendor: MY COMPANY", 18, "at most 8 char"),
    Mistake(
        "eight replicas",
        "- folder: ./c",
        "- folder: ./c\n" + "".join(f"        - folder: ./x{n}\n" for n in range(5)),
        12,
        "1 to 7 replicas, got 8",
    ),
    Mistake(
        "no replica",
        "replicas:\n        - folder: ./a\n        - folder: ./b\n        - folder: ./c\n",
        "replicas: []\n",
        12,
        "1 to 7 replicas, got 0",
    ),
    Mistake(
        "a flush with less patience",
        "      replicas:",
        "      flush_dead_s: 1\n      replicas:",
        12,
        "is below dead_s",
    ),
)

PATHS = (
    Mistake("a home folder", "data_dir: ./data", "data_dir: ~/data", 1, "'~' is not replaced"),
    Mistake("a variable", "data_dir: ./data", "data_dir: $HOME/x", 1, "$HOME is not replaced"),
    Mistake("a URL", "folder: ./a", "folder: file:///srv/a", 14, "which is a URL"),
    Mistake("a number", "folder: ./a", "folder: 5", 14, "put quotes around it"),
    Mistake("no path", "folder: ./a", "folder:", 14, f"{_PATH}nothing"),
    Mistake("an empty path", "folder: ./a", 'folder: ""', 14, f"{_PATH}empty text"),
    Mistake("paths in a list", "path: ./other.img", "path: [a, b]", 24, f"{_PATH}a list"),
    Mistake("no data folder", "data_dir: ./data", "data_dir: ~", 1, f"{_PATH}nothing"),
    Mistake("a data folder that is a file", "./data", "./f", 1, "f is no folder", _file("f")),
    Mistake("a data folder in a file", "./data", "./f/d", 1, "which is no folder", _file("f")),
    Mistake("a replica's folder that is a file", "./b", "./f", 15, "is no folder", _file("f")),
    Mistake("a replica's folder in a file", "./b", "./f/b", 15, "would lie in", _file("f")),
    Mistake("a file that is a folder", "./other.img", "./d", 24, "is a folder; ex", _folder("d")),
    Mistake("one folder twice", "folder: ./b", "folder: ./a", 12, "two replicas share the folder"),
    Mistake("one folder by two names", "folder: ./b", "folder: ./x/../a", 12, "share the folder"),
    Mistake("one folder by a link", "./b", "./l", 15, "is taken by volumes.demo", _link("l", "a")),
    Mistake("a folder in another", "./b", "./a/b", 15, "lies in "),
    Mistake("a folder around another", "./b", "./c/..", 15, "holds the data folder"),
    Mistake("a file in a replica's folder", "./other.img", "./a/o.img", 24, "lies in "),
    Mistake(
        "one file for two volumes",
        "",
        RIGHT[RIGHT.index("  - name: other") :].replace("name: other", "name: third"),
        30,
        "is taken by volumes.other.options.path",
    ),
    Mistake("a replica in the data folder", "./b", "./data", 15, "is the data folder itself"),
    Mistake("a replica among the logs", "./b", "./data/logs/b", 15, "is the server's own"),
)

ADDRESSES = (
    Mistake("an address without port", ":3260", "", 4, "the port is missing"),
    Mistake("a port alone", '"127.0.0.1:3260"', "3260", 4, "put quotes around it"),
    Mistake("a port beyond all", ":3260", ":70000", 4, "port 70000 is above 65535"),
    Mistake("a port in words", ":3260", ":iscsi", 4, _ADDRESS),
    Mistake("IPv6 without brackets", "127.0.0.1:3260", "::1:3260", 4, "is put in brackets"),
    Mistake("IPv4 beyond 255", "127.0.0.1", "127.0.0.256", 4, "is no IPv4 address"),
    Mistake("three numbers", "127.0.0.1", "127.0.1", 4, "is no IPv4 address"),
    Mistake("IPv6 that is none", "127.0.0.1", "[1::2::3]", 4, "is no IPv6 address"),
    Mistake("an address with a scheme", '"127', '"iscsi://127', 4, "before the host away"),
    Mistake("an address that is no list", '["127.0.0.1:3260"]', '"127.0.0.1:3260"', 4, "a list"),
    Mistake("no address", '["127.0.0.1:3260"]', "[]", 4, "it names no address"),
    Mistake(
        "one address twice", '60"]', '60", "127.0.0.1:3260"]', 4, "is taken by frontends.iscsi"
    ),
    Mistake(
        "one port by a wildcard", '60"]', '60", "0.0.0.0:3260"]', 4, "is taken by frontends.is"
    ),
    Mistake(
        "an advertised wildcard",
        "    listen",
        '    advertise: "0.0.0.0:3260"\n    listen',
        3,
        "nobody can dial that",
    ),
    Mistake(
        "an advertised port 0",
        "    listen",
        '    advertise: "10.0.0.1:0"\n    listen',
        3,
        "nobody can dial that",
    ),
    Mistake(
        "a replica beyond loopback",
        "folder: ./c",
        'folder: ./c\n          address: "10.0.0.1:1"',
        12,
        "replicas listen on loopback only",
    ),
    Mistake(
        "a replica at the portal's port",
        "folder: ./c",
        'folder: ./c\n          address: "127.0.0.1:3260"',
        17,
        "is taken by frontends.iscsi",
    ),
    Mistake(
        "two replicas at one port",
        "folder: ./b\n        - folder: ./c",
        'folder: ./b\n          address: "127.0.0.1:7001"\n        - folder: ./c\n'
        '          address: "127.0.0.1:7001"',
        18,
        "is taken by volumes.demo.options.replicas[1].address",
    ),
    Mistake("an IQN that is none", "read_only: false", "iqn: demo", 18, "'demo' is no iSCSI name"),
    Mistake(
        "an IQN of a month 13", "read_only: false", "iqn: iqn.2026-13.x:a", 18, "no iSCSI name"
    ),
    Mistake(
        "one IQN twice",
        "",
        "    frontend_options: {iqn: iqn.2026-11.io.tierce:demo}\n",
        26,
        "and the volume 'demo' too",
    ),
    Mistake(
        "an initiator by its host",
        "read_only: false",
        "initiators: [app-1]",
        18,
        "'app-1' is no iSCSI name",
    ),
    Mistake(
        "an initiator by its address",
        "read_only: false",
        "initiators: [10.0.0.1]",
        18,
        "'10.0.0.1' is no iSCSI name",
    ),
    Mistake(
        "initiators that are no list",
        "read_only: false",
        "initiators: iqn.2026-11.x:a",
        19,
        "expected a list",
    ),
)

MISTAKES = (*YAML, *KEYS, *NAMES, *NUMBERS, *PATHS, *ADDRESSES)


@attrs.frozen
class Note:
    """What works, and yet should be known.

    Attributes:
        what: In words.
        right: As in Mistake.
        wrong: As in Mistake.
        said: What is said, in part.
    """

    what: str
    right: str
    wrong: str
    said: str

    def write(self, folder: Path) -> Path:
        """Write the file."""
        return Mistake(self.what, self.right, self.wrong, 0, self.said).write(folder)


NOTES = (
    Note("two replicas", "        - folder: ./c\n", "", "two replicas without a third vote stop"),
    Note(
        "four replicas", "./c\n", "./c\n        - folder: ./d\n", "4 replicas survive the loss of"
    ),
    Note("replicas on one disk", "name: demo", "name: data", "of its 3 replicas lie on one file s"),
    Note("a variable in a path", "folder: ./a", "folder: ./$HOST/a", "$HOST is taken as it stands"),
    Note("an open door", "127.0.0.1:3260", "0.0.0.0:3260", "whoever reaches that may log in"),
    Note("more than the disk has", "64 MiB", "1 PiB", "when it is full, writes are refused"),
    Note(
        "more than the memory has",
        "size: 1 MiB\n    engine: file\n    options:\n      path: ./other.img\n",
        "size: 512 TiB\n    engine: memory\n",
        "volumes in memory (other) may grow to",
    ),
)


def main() -> None:
    """Print the table: what was written, what is read."""
    import contextlib  # noqa: PLC0415 - only the table needs these
    import io  # noqa: PLC0415
    import tempfile  # noqa: PLC0415

    from tierce.cli.main import main as tierce  # noqa: PLC0415

    for one in (*MISTAKES, *NOTES):
        with tempfile.TemporaryDirectory() as folder:
            path, error = one.write(Path(folder)), io.StringIO()
            out = io.StringIO()
            with (
                contextlib.redirect_stderr(error),
                contextlib.redirect_stdout(out),
                contextlib.suppress(SystemExit),
            ):
                tierce(["config", "check", str(path)])
            said = error.getvalue().replace(f"{os.path.realpath(folder)}/", "").strip()
            print(f"| {one.what} | {said} |")


if __name__ == "__main__":
    main()
