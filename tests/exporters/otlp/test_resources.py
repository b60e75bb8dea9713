"""Whose it is."""

from __future__ import annotations

import socket

from tierce_exporters.otlp.resources import Resources


def test_a_target_a_replica_and_the_exporter_have_one_each() -> None:
    resources = Resources("service.otlp")
    host = {"host.name": socket.gethostname()}
    assert dict(resources.target("db").attributes) == host | {
        "service.name": "tierce-target",
        "service.instance.id": "target.db",
        "tierce.volume.name": "db",
    }
    assert dict(resources.replica("db", "replica-1").attributes) == host | {
        "service.name": "tierce-replica",
        "service.instance.id": "member.db.replica-1",
        "tierce.volume.name": "db",
        "tierce.replica.name": "replica-1",
    }
    assert dict(resources.server.attributes) == host | {
        "service.name": "tierce-server",
        "service.instance.id": "server",
    }
    assert dict(resources.exporter.attributes) == host | {
        "service.name": "tierce-service",
        "service.instance.id": "service.otlp",
    }


def test_each_is_made_once() -> None:
    resources = Resources("service.otlp")
    assert resources.target("db") is resources.process("target.db")
    assert resources.replica("db", "a") is not resources.replica("db", "b")


def test_a_volume_has_its_uuid_once_that_is_known_and_another_of_its_name_has_its_own() -> None:
    resources = Resources("service.otlp")
    assert "tierce.volume.id" not in resources.target("db").attributes
    for uuid in ("4bf9", "77aa"):
        resources.know({"db": uuid})
        for made in (resources.target("db"), resources.replica("db", "replica-1")):
            assert made.attributes["tierce.volume.id"] == uuid
    kept = resources.target("db")
    resources.know({"db": "77aa"})
    assert resources.target("db") is kept
