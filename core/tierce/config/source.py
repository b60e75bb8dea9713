"""From the bytes of a file, or a mapping at hand, to values that know their line.

YAML is read as version 1.2 understands it (core schema): `yes` and `on` are text, `1:30` is text,
nothing is a date. The library builds its tree of nodes; no object is ever made from a tag.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import yaml

from tierce.errors import ConfigError

#: A larger file is refused unread: nobody writes one by hand, and parsing it would take minutes.
FILE_BYTES_MAX = 1 << 20
#: Values in a file, counted each time an alias repeats them: what a file of aliases may grow to.
VALUE_COUNT_MAX = 100_000
#: Lists and mappings in one another.
DEPTH_MAX = 50
#: Digits of a number; more than any option needs, fewer than Python refuses to convert.
DIGIT_COUNT_MAX = 400

#: Characters of a message: it may quote the file, whose keys have no end.
MESSAGE_LENGTH_MAX = 600

Scalar = None | bool | int | float | str


@attrs.frozen
class Value:
    """A value of a file (or of a mapping that stands for a piece of one).

    Attributes:
        content: A scalar, a list of values, or a mapping from name to value.
        file: What errors name as the file.
        line: 1-based line where it starts; 0 if there are no lines.
        key_lines: For a mapping: the line of each key.
    """

    content: Scalar | list[Value] | dict[str, Value]
    file: str
    line: int = 0
    key_lines: Mapping[str, int] = attrs.field(factory=dict)

    @property
    def origin(self) -> str:
        """Where it is: "FILE:LINE", or what stands for the file."""
        return _place(self.file, self.line)

    def origin_of(self, key: str) -> str:
        """Where one of its keys is."""
        return _place(self.file, self.key_lines.get(key, self.line))

    def error(self, message: str, *, key: str | None = None) -> ConfigError:
        """Return the error to raise about this value, or about one of its keys."""
        line = self.line if key is None else self.key_lines.get(key, self.line)
        return ConfigError(_short(message, MESSAGE_LENGTH_MAX), file=self.file, line=line)

    def describe(self) -> str:
        """Say in a few words what it is, for "got ..."."""
        content = self.content
        if isinstance(content, list):
            return "a list"
        if isinstance(content, dict):
            return "a mapping"
        if content is None:
            return "nothing"
        if isinstance(content, bool):
            return "true" if content else "false"
        if isinstance(content, str):
            return f"the text {_short(content)!r}"
        return f"the number {_short(str(content))}"


def read_file(path: Path) -> Value:
    """Return the values of a YAML file.

    Raises:
        ConfigError: It can't be read or is not what we read; names file and line.
    """
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise ConfigError(f"can't be read: {reason}", file=str(path)) from error
    return parse(data, str(path))


def parse(data: bytes, file: str) -> Value:
    """Return the values of YAML bytes; `file` is what errors name.

    Raises:
        ConfigError: They are not what we read; names file and line.
    """
    if len(data) > FILE_BYTES_MAX:
        raise ConfigError(f"larger than {FILE_BYTES_MAX >> 20} MiB, which is refused", file=file)
    node = _compose(_decode(data, file), file)
    if node is None:
        raise ConfigError("empty; expected at least `volumes: []`", file=file, line=1)
    return _Reader(file).value(node, 0)


def from_plain(content: Any, origin: str) -> Value:
    """Return the values of a mapping at hand: JSON values, tuples and paths.

    Raises:
        ConfigError: It holds something else, or too much; names the origin.
    """
    return _PlainReader(origin).value(content, 0)


def _decode(data: bytes, file: str) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"not UTF-8: byte 0x{data[error.start]:02x}", file=file, line=line
        ) from error
    return text.removeprefix("\ufeff")


def _compose(text: str, file: str) -> yaml.Node | None:
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if error.context_mark and _is_earlier(error):
            mark = error.context_mark
        line = mark.line + 1 if mark else 0
        raise ConfigError(_explain(error, text, line), file=file, line=line) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"the character U+{ord(text[error.position]):04X} is not allowed", file=file, line=line
        ) from error
    except RecursionError as error:
        line = _find_depth(text)
        raise ConfigError(f"nested deeper than {DEPTH_MAX}", file=file, line=line) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # The library converts escapes and directives without checking them.
        raise ConfigError(f"not YAML: {error}", file=file) from error
    return node


def _find_depth(text: str) -> int:
    """Return the line where values are first nested too deep: the scanner keeps no stack."""
    depth = 0
    for token in yaml.scan(text, Loader=_Loader):
        depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
        if depth > DEPTH_MAX:
            return int(token.start_mark.line) + 1
    return 0


def _is_earlier(error: yaml.MarkedYAMLError) -> bool:
    """True if the mistake is where the library began, not where it noticed: what was never closed,
    or lacks the blank behind its colon."""
    is_open = "unexpected end of stream" in str(error.problem)
    return is_open or "a simple key" in str(error.context)


def _explain(error: yaml.MarkedYAMLError, text: str, line: int) -> str:
    lines = text.split("\n")
    if 0 < line <= len(lines) and "\t" in lines[line - 1] and "'\\t'" in str(error.problem):
        return "a tab; YAML is indented with spaces"
    problem = str(error.problem or "can't be understood")
    for words, meaning in _IN_OUR_WORDS.items():
        if words in problem:
            return meaning
    began = error.context_mark.line + 1 if error.context_mark else line
    context = f", {error.context}" if error.context else ""
    return f"not YAML: {problem}{context}" + (f" of line {began}" if began != line else "")


#: What the library says of the commonest mistakes, and what a reader can do something with.
_IN_OUR_WORDS = {
    "expected <block end>": "not YAML: this does not fit the lines above it; indent it as they are",
    "found another document": "a second document ('---'); a file holds one",
    "could not find expected ':'": "not YAML: a key without a colon and a blank behind it",
}


class _Loader(yaml.SafeLoader):
    """The library's scanner and composer, with the implicit types of YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - the library's own attribute


_TAG = "tag:yaml.org,2002:"
_OPENING = (
    yaml.FlowMappingStartToken,
    yaml.FlowSequenceStartToken,
    yaml.BlockMappingStartToken,
    yaml.BlockSequenceStartToken,
)
_CLOSING = (yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken, yaml.BlockEndToken)
_INT = re.compile(r"[-+]?[0-9]+|0x[0-9A-Fa-f]+|0o[0-7]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)

#: Tag, pattern, and the characters that such a scalar starts with ("" for an empty one). YAML 1.2.2
#: section 10.3.2, without the numbers that are not finite.
_IMPLICIT = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", _INT.pattern, list("-+0123456789")),
    ("float", _FLOAT.pattern, list("-+0123456789.")),
)
for _name, _pattern, _first in _IMPLICIT:
    _Loader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(rf"(?:{_pattern})\Z"), _first)


class _Reader:
    """Turns nodes into values, within the limits."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._count = 0

    def value(self, node: yaml.Node, depth: int) -> Value:
        line = node.start_mark.line + 1
        self._count += 1
        if self._count > VALUE_COUNT_MAX:
            raise self._error(f"more than {VALUE_COUNT_MAX} values, aliases counted", line)
        # An alias may lead back to what holds it: that too ends here.
        if depth > DEPTH_MAX:
            raise self._error(f"nested deeper than {DEPTH_MAX}", line)
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node, line, depth)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return Value([self.value(item, depth + 1) for item in node.value], self._file, line)
        if isinstance(node, yaml.ScalarNode):
            return Value(self._scalar(node, line), self._file, line)
        raise self._error(f"the tag {_short(node.tag)!r} is not known", line)

    def _mapping(self, node: yaml.MappingNode, line: int, depth: int) -> Value:
        content: dict[str, Value] = {}
        key_lines: dict[str, int] = {}
        for key_node, item in node.value:
            key_line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error("a list or mapping can't be a key", key_line)
            key = self._scalar(key_node, key_line)
            if not isinstance(key, str):
                raise self._error(f"the key {_short(key_node.value)} is not text", key_line)
            if key in content:
                raise self._error(
                    f"{_short(key)!r} is here twice, first in line {key_lines[key]}", key_line
                )
            found = self.value(item, depth + 1)
            # A section starts where its key is, also if what it holds is below.
            is_section = isinstance(found.content, list | dict)
            content[key] = attrs.evolve(found, line=key_line) if is_section else found
            key_lines[key] = key_line
        return Value(content, self._file, line, key_lines)

    def _scalar(self, node: yaml.ScalarNode, line: int) -> Scalar:
        text = str(node.value)
        match node.tag.removeprefix(_TAG):
            case "str":
                return self._text(text, line)
            case "null":
                return None
            case "bool" if text.lower() in {"true", "false"}:
                return text.lower() == "true"
            case "int" if _INT.fullmatch(text):
                self._check_digits(text, line)
                return int(text, 0 if text[:2] in {"0x", "0o"} else 10)
            case "float" if _FLOAT.fullmatch(text):
                self._check_digits(text, line)
                number = float(text)
                if math.isfinite(number):
                    return number
                raise self._error(f"the number {_short(text)} is too large", line)
            case _:
                raise self._error(f"the tag {_short(node.tag)!r} is not known here", line)

    def _text(self, text: str, line: int) -> str:
        """An escape can make half of a surrogate pair, which nothing can print, or a NUL, which
        no path or name can hold."""
        if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise self._error(f"the text {_short(text)!a} holds what is no character", line)
        return text

    def _check_digits(self, text: str, line: int) -> None:
        if len(text) > DIGIT_COUNT_MAX:
            raise self._error(f"the number {_short(text)} is too long", line)

    def _error(self, message: str, line: int) -> ConfigError:
        return ConfigError(message, file=self._file, line=line)


class _PlainReader:
    """Turns Python values into values, within the same limits."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._count = 0

    def value(self, content: Any, depth: int) -> Value:
        self._count += 1
        if self._count > VALUE_COUNT_MAX or depth > DEPTH_MAX:
            raise ConfigError("too many values, or nested too deep", file=self._origin)
        if isinstance(content, Mapping):
            items = {self._key(key): self.value(one, depth + 1) for key, one in content.items()}
            return Value(items, self._origin)
        if isinstance(content, list | tuple):
            return Value([self.value(one, depth + 1) for one in content], self._origin)
        if isinstance(content, Path):
            return Value(str(content), self._origin)
        if isinstance(content, float) and not math.isfinite(content):
            raise ConfigError(f"the number {content} is not finite", file=self._origin)
        if content is None or isinstance(content, bool | int | float | str):
            return Value(content, self._origin)
        raise ConfigError(f"{type(content).__name__} is no JSON value", file=self._origin)

    def _key(self, key: object) -> str:
        if not isinstance(key, str):
            raise ConfigError(f"the key {key!r} is not text", file=self._origin)
        return key


def _place(file: str, line: int) -> str:
    return f"{file}:{line}" if line else file


def _short(text: str, length: int = 60) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."
