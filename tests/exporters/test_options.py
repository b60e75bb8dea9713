"""What the exporters can be told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tierce import ConfigError
from tierce.config import config_from_bytes
from tierce.registry import Registry

HEAD = b"services:\n  prometheus:\n    listen: "


def advice(listen: bytes, folder: Path) -> str:
    return "\n".join(config_from_bytes(HEAD + listen, folder / "f.yaml", Registry.load()).advice)


def test_loopback_needs_no_advice_and_anything_else_does(tmp_path: Path) -> None:
    assert advice(b"['127.0.0.1:9500', 'localhost:1', '[::1]:2']", tmp_path) == ""
    assert "listens at 10.0.0.1:9500, without a password" in advice(b"['10.0.0.1:9500']", tmp_path)


def test_somewhere_it_must_listen(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="listen names no address"):
        advice(b"[]", tmp_path)
