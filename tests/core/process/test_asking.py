"""A process asks the server from its own loop, and never waits."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from tierce import TemporaryError
from tierce.process.asking import Asker
from tierce.process.messages import ControlServer, Message, Peer, close_all
from tierce.process.paths import Paths, listen


def test_it_is_connected_when_it_asks_and_again_after_the_server_went(
    reactor: Any, tmp_path: Path
) -> None:
    paths = Paths(tmp_path)
    paths.make()
    asker, answers = Asker(reactor, paths), list[Message]()
    with pytest.raises(TemporaryError, match="no server runs"):
        asker.ask({"do": "processes"}, answers.append)

    def handle(peer: Peer, message: Message, descriptors: list[int]) -> None:
        close_all(descriptors)
        if message["do"] == "processes":
            peer.send({"id": message["id"], "ok": {"a": 1}})

    for _server in range(2):
        server = ControlServer(reactor, listen(paths.socket("serve")), handle)
        asker.ask({"do": "processes"}, answers.append)
        asker.ask({"do": "processes"}, answers.append)
        reactor.turn()
        assert [answer["ok"] for answer in answers] == [{"a": 1}] * 2
        answers.clear()
        # What was asked and not answered is told, when it goes.
        asker.ask({"do": "nothing"}, answers.append)
        reactor.turn()
        server.close()
        reactor.turn()
        assert [answer["error"] for answer in answers] == ["the process has gone"]
        answers.clear()


def test_what_a_server_asks_is_let_be_and_its_descriptors_are_closed(
    reactor: Any, tmp_path: Path
) -> None:
    paths = Paths(tmp_path)
    paths.make()
    ours, theirs = socket.socketpair()
    peers: list[Peer] = []

    def handle(peer: Peer, _message: Message, descriptors: list[int]) -> None:
        close_all(descriptors)
        peers.append(peer)

    server = ControlServer(reactor, listen(paths.socket("serve")), handle)
    Asker(reactor, paths).ask({"do": "x"}, lambda _answer: None)
    reactor.turn()
    with ours:
        with theirs:
            peers[0].send({"do": "take"}, [theirs.fileno()])
        reactor.turn()
        assert ours.recv(1) == b""
    server.close()
    reactor.turn()
