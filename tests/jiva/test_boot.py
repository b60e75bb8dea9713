"""Which boot of the machine this is."""

from __future__ import annotations

import uuid

from tierce_jiva.boot import boot_id


def test_the_boot_is_known_by_an_id_that_stays_while_the_machine_is_up() -> None:
    assert str(uuid.UUID(boot_id())) == boot_id()
