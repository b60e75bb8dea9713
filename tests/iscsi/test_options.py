"""What a volume may be called."""

from __future__ import annotations

import pytest

from tierce_iscsi.options import IscsiVolumeOptions


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
        "iqn.2026-11.x:" + "y" * 250,
    ],
)
def test_what_is_none_is_refused_with_an_example(name: str) -> None:
    reason = IscsiVolumeOptions(iqn=name).check()
    assert reason is not None
    assert "iqn.2026-11.io.tierce:data" in reason


def test_no_name_is_the_default_one() -> None:
    assert IscsiVolumeOptions().check() is None
