"""What a volume may be called."""

from __future__ import annotations

import pytest

from tierce_iscsi.options import IscsiOptions, IscsiVolumeOptions, advice


@pytest.mark.parametrize(
    "name",
    [
        "iqn.2026-11.io.tierce:data",
        "iqn.2001-04.com.example",
        "IQN.2001-04.com.example:Storage.disk1",
        "eui.02004567A425678D",
        "naa.52004567BA64678D",
    ],
)
def test_an_iscsi_name_is_taken(name: str) -> None:
    assert IscsiVolumeOptions(iqn=name).check() is None


@pytest.mark.parametrize(
    "name",
    [
        "hello world",
        "",
        "iqn.2026",
        "iqn.2026-11.io.tierce:a b",
        "eui.12",
        "iqn.2026-13.io.tierce:a",
        "iqn.2026-00.io.tierce:a",
        "iqn.2026-11.x:" + "y" * 250,
    ],
)
def test_what_is_none_is_refused_with_an_example(name: str) -> None:
    reason = IscsiVolumeOptions(iqn=name).check()
    assert reason is not None
    assert "iqn.2026-11.io.tierce:data" in reason


def test_no_name_is_the_default_one() -> None:
    assert IscsiVolumeOptions().check() is None


@pytest.mark.parametrize("name", ["app", "*", "10.0.0.1", "iqn.2026-13.x:y"])
def test_an_initiator_is_named_as_one(name: str) -> None:
    options = IscsiVolumeOptions(initiators=("iqn.1993-08.org.debian:01:app", name))
    reason = options.check()
    assert reason is not None
    assert reason.startswith(f"initiators: {name!r} is no iSCSI name")


@pytest.mark.parametrize(
    "options",
    [
        IscsiVolumeOptions(vendor="TOO LONG!"),
        IscsiVolumeOptions(product="SEVENTEEN LETTERS"),
        IscsiVolumeOptions(vendor="caf\xe9"),
        IscsiVolumeOptions(vendor="a\tb"),
    ],
)
def test_what_inquiry_can_not_hold_is_refused(options: IscsiVolumeOptions) -> None:
    reason = options.check()
    assert reason is not None
    assert "characters of ASCII" in reason


@pytest.mark.parametrize("address", ["0.0.0.0:3260", "[::]:3260", "10.0.0.1:0"])
def test_what_nobody_can_dial_is_not_advertised(address: str) -> None:
    reason = IscsiOptions(advertise=address).check()
    assert reason is not None
    assert "nobody can dial that" in reason
    assert IscsiOptions(advertise="10.0.0.1:3260").check() is None


def test_a_volume_that_anybody_may_log_in_to_is_advised_of() -> None:
    beyond = IscsiOptions(listen=("127.0.0.1:1", "[::1]:1", "10.0.0.1:1"))
    told = advice(beyond, "demo", IscsiVolumeOptions())
    assert told is not None
    assert "listens at 10.0.0.1:1:" in told
    named = IscsiVolumeOptions(initiators=("iqn.1993-08.org.debian:01:app",))
    assert advice(beyond, "demo", named) is None
    assert advice(IscsiOptions(), "demo", IscsiVolumeOptions()) is None
