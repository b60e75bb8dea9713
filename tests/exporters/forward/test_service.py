"""The service over what services see, made up, and a peer on loopback."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from exporters.forward.peer import KEY, Peer
from exporters.forward.test_connecting import CERTIFICATE
from exporters.forward.test_connecting import KEY as TLS_KEY
from exporters.forward.test_entries import RECORD
from serving.processes import wait_until
from tierce import Event, Events, RecordedEvent, ServiceContext, TemporaryError, Traces
from tierce_exporters.forward.service import ForwardService
from tierce_exporters.options import ForwardOptions, ForwardTls

WAIT_S = 60.0
STOP_S = 2.0


class ListeningPeer:
    """A peer on loopback that takes one connection after the other.

    Attributes:
        taken: What it has, over its connections.
        count: Its connections.
    """

    def __init__(self, key: bytes = b"", *, acks: bool = True, reads: bool = True) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.taken: dict[str, list[Any]] = {}
        self.count = 0
        self.key, self.acks, self.reads = key, acks, reads
        self.tls: ssl.SSLContext | None = None
        self.is_closed = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        self.listener.settimeout(0.05)
        while not self.is_closed.is_set():
            try:
                accepted, _address = self.listener.accept()
            except TimeoutError:
                continue
            self.count += 1
            try:
                self.serve(accepted)
            except OSError:
                continue

    def serve(self, accepted: socket.socket) -> None:
        accepted.settimeout(WAIT_S)
        if self.tls is not None:
            accepted = self.tls.wrap_socket(accepted, server_side=True)
        peer = Peer(self.taken, self.key, acks=self.acks)
        with accepted:
            accepted.sendall(peer.greeting())
            accepted.settimeout(0.05)
            while not self.is_closed.is_set():
                if not self.reads:
                    self.is_closed.wait(WAIT_S)
                    return
                try:
                    data = accepted.recv(65536)
                except TimeoutError:
                    continue
                if not data:
                    return
                for answer in peer.receive(data):
                    accepted.sendall(answer)

    def has(self, what: str, value: Any) -> bool:
        return any(one[1].get(what) == value for each in self.taken.values() for one in each)

    def close(self) -> None:
        self.is_closed.set()
        self.thread.join(WAIT_S)
        self.listener.close()


class Scene:
    """A service on a thread, until it is told to stop."""

    def __init__(self, address: str, **options: Any) -> None:
        self.stopping = threading.Event()
        self.waiting = Events(())
        self.kept = Traces(())
        self.asked = 0
        #: It is to stop as soon as it was given an event.
        self.stops_with_events = False
        self.told: list[Event] = []
        self.error: Exception | None = None
        context = ServiceContext(
            name="forward",
            options=ForwardOptions(address=address, **options),
            statistics=cast("Any", None),
            events=self.events,
            traces=self.traces,
            wait=lambda seconds: not self.stopping.wait(seconds),
            act=cast("Any", None),
            emit=self.told.append,
            call_soon=cast("Any", None),
            logger=logging.LoggerAdapter(logging.getLogger("forward-test"), {}),
            publish_socket=cast("Any", None),
            find_service=cast("Any", None),
        )
        self.service = ForwardService(context)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        try:
            self.service.run()
        except TemporaryError as error:
            self.error = error

    def events(self) -> Events:
        found, self.waiting = self.waiting, Events(())
        self.asked += 1
        if found.items and self.stops_with_events:
            self.stopping.set()
        return found

    def traces(self) -> Traces:
        found, self.kept = self.kept, Traces(())
        return found

    def happens(self, number: int, lost: int = 0) -> None:
        event = Event("a.b", "it was", "volume/db")
        self.waiting = Events((RecordedEvent(number, 1.0, event),), lost)

    def stop(self) -> float:
        """Have it stop; return how long that took."""
        began = time.monotonic()
        self.stopping.set()
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive()
        return time.monotonic() - began


@pytest.fixture
def peer() -> Iterator[ListeningPeer]:
    made = ListeningPeer()
    yield made
    made.close()


def test_events_arrive_and_the_next_are_asked_for_when_they_are_acknowledged(
    peer: ListeningPeer,
) -> None:
    scene = Scene(peer.address)
    for number in (1, 2):
        scene.happens(number)
        wait_until(lambda number=number: peer.has("sequence", number), "it is there")  # type: ignore[misc]
    scene.stop()


def test_events_are_asked_for_no_more_while_a_peer_acknowledges_nothing() -> None:
    peer = ListeningPeer(acks=False)
    scene = Scene(peer.address, records=True)
    scene.happens(1)
    wait_until(lambda: peer.has("sequence", 1), "it is there")
    asked = scene.asked
    for _time in range(2):
        # Records are asked for all the same: a round of asking has passed.
        scene.kept = Traces((RECORD,))
        wait_until(lambda: not scene.kept.items, "it was asked")
    assert scene.asked == asked
    scene.stop()
    peer.close()


def test_records_are_sent_where_they_are_asked_for(peer: ListeningPeer) -> None:
    scene = Scene(peer.address, records=True, compress=True)
    scene.kept = Traces((RECORD,))
    wait_until(lambda: peer.has("trace_id", RECORD.trace_id), "it is there")
    scene.stop()


def test_keys_are_read_from_files_and_white_space_around_them_does_not_count(
    tmp_path: Path,
) -> None:
    (tmp_path / "key").write_bytes(KEY + b"\n")
    peer = ListeningPeer(KEY)
    scene = Scene(peer.address, shared_key_file=str(tmp_path / "key"))
    scene.happens(1)
    wait_until(lambda: peer.has("sequence", 1), "it is there")
    scene.stop()
    peer.close()


def test_events_go_through_tls_where_that_is_asked_for() -> None:
    peer = ListeningPeer()
    peer.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    peer.tls.load_cert_chain(CERTIFICATE, TLS_KEY)
    scene = Scene(peer.address, tls=ForwardTls(ca_file=CERTIFICATE))
    for number in (1, 2):
        scene.happens(number)
        wait_until(lambda number=number: peer.has("sequence", number), "it is there")  # type: ignore[misc]
    assert peer.count == 1
    scene.stop()
    peer.close()


@pytest.mark.parametrize("content", [None, b" \n"])
def test_a_key_that_can_not_be_read_is_told_and_nothing_is_sent(
    content: bytes | None, tmp_path: Path, peer: ListeningPeer
) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    scene = Scene(peer.address, shared_key_file=str(file))
    scene.thread.join(WAIT_S)
    assert str(file) in str(scene.error)
    assert peer.count == 0


def test_what_core_could_not_give_any_more_is_counted_and_told(peer: ListeningPeer) -> None:
    scene = Scene(peer.address)
    scene.happens(9, lost=3)
    wait_until(lambda: scene.told, "it is told")
    (event,) = scene.told
    assert (event.code, event.subject) == ("exporter.dropping", "service/forward")
    assert event.fields == {"exporter": "forward", "dropped": {"events": 3}}
    scene.stop()


@pytest.mark.parametrize(("acks", "reads"), [(False, True), (True, False)])
def test_it_stops_within_two_seconds_whatever_its_peer_does(acks: bool, reads: bool) -> None:
    peer = ListeningPeer(acks=acks, reads=reads)
    scene = Scene(peer.address)
    scene.happens(1)
    wait_until(lambda: peer.count == 1, "it is connected")
    assert scene.stop() < STOP_S
    peer.close()


def test_it_stops_within_two_seconds_while_the_server_does_not_answer(peer: ListeningPeer) -> None:
    scene = Scene(peer.address)
    hanging = threading.Event()
    asked = threading.Event()

    def hang() -> Events:
        asked.set()
        hanging.wait(WAIT_S)
        return Events(())

    object.__setattr__(scene.service.context, "events", hang)
    assert asked.wait(WAIT_S)
    assert scene.stop() < STOP_S
    hanging.set()


def test_what_was_there_when_it_is_to_stop_is_still_sent(peer: ListeningPeer) -> None:
    scene = Scene(peer.address)
    scene.stops_with_events = True
    scene.happens(1)
    scene.thread.join(WAIT_S)
    assert peer.has("sequence", 1)
