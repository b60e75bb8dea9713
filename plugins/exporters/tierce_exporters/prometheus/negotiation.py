"""Which format a reader gets, by its headers Accept and Accept-Encoding (RFC 9110 12.5)."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping

#: What formats are called here, and what each must say besides; a reader may leave that out.
_TEXT, _OPENMETRICS, _PROTOBUF = (
    "text/plain",
    "application/openmetrics-text",
    "application/vnd.google.protobuf",
)
_Q = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.ASCII)


class Format(enum.Enum):
    """A format; its value is its content type."""

    TEXT = f"{_TEXT}; version=0.0.4; charset=utf-8"
    OPENMETRICS = f"{_OPENMETRICS}; version=1.0.0; charset=utf-8"
    PROTOBUF = f"{_PROTOBUF}; proto=io.prometheus.client.MetricFamily; encoding=delimited"


def choose(accept: str) -> Format:
    """Return the format that is wanted most, the first one named among equals; the text that
    everybody reads where nothing is named that is written here."""
    best, best_q = Format.TEXT, 0.0
    for media_range in accept.split(","):
        name, *parameters = (part.strip().lower() for part in media_range.split(";"))
        values = dict(_parameter(one) for one in parameters)
        q = _weight(values)
        found = _match(name, values)
        if found is not None and q > best_q:
            best, best_q = found, q
    return best


def takes_gzip(accept_encoding: str) -> bool:
    """Return whether a reader takes what is compressed."""
    weights: dict[str, float] = {}
    for coding in accept_encoding.split(","):
        name, *parameters = (part.strip().lower() for part in coding.split(";"))
        weights[name] = _weight(dict(_parameter(one) for one in parameters))
    # A star stands for what is not named.
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _parameter(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip(), value.strip().strip('"')


def _weight(values: Mapping[str, str]) -> float:
    text = values.get("q", "1")
    return float(text) if _Q.fullmatch(text) else 0.0


def _match(name: str, values: Mapping[str, str]) -> Format | None:
    version = values.get("version")
    if name == _PROTOBUF:
        is_ours = values.get("proto") == "io.prometheus.client.metricfamily"
        return Format.PROTOBUF if is_ours and values.get("encoding") == "delimited" else None
    if name == _OPENMETRICS and version in (None, "1.0.0"):
        return Format.OPENMETRICS
    if (name == _TEXT and version in (None, "0.0.4")) or name in ("*/*", "text/*"):
        return Format.TEXT
    return None
