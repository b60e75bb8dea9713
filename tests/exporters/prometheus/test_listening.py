"""Where the exporter listens, and who is told."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tierce import TemporaryError
from tierce_exporters.prometheus.listening import discovery, listen_all, write_discovery


def test_each_address_is_listened_at() -> None:
    listeners = listen_all(["127.0.0.1:0", "localhost:0"])
    for one in listeners:
        socket.create_connection(one.getsockname()).close()
        one.close()
    assert len(listeners) == 2


def test_an_address_that_is_taken_is_named_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = f"127.0.0.1:{taken.getsockname()[1]}"
        wanted = rf"can't listen at {text}: Address already in use.*; free the address"
        with pytest.raises(TemporaryError, match=wanted):
            listen_all(["127.0.0.1:0", text])


def test_the_discovery_file_names_the_ports_that_were_taken_and_everybody_may_read_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "tierce.json"
    (listener,) = listen_all(["127.0.0.1:0"])
    with listener:
        write_discovery(str(path), [listener])
        port = listener.getsockname()[1]
    assert json.loads(path.read_text()) == [{"targets": [f"127.0.0.1:{port}"]}]
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_who_listens_everywhere_is_found_by_the_machines_name() -> None:
    (listener,) = listen_all(["0.0.0.0:0"])
    with listener:
        found = json.loads(discovery([listener], "node-7"))
        assert found == [{"targets": [f"node-7:{listener.getsockname()[1]}"]}]


def test_a_discovery_file_that_can_not_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(TemporaryError, match=r"the discovery file can't be written: .*No such"):
        write_discovery(str(tmp_path / "nowhere" / "file.json"), [])
