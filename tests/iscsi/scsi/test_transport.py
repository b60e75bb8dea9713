"""Transport IDs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierce_iscsi.scsi.transport import from_text, to_text, transport_id

ISID = b"\x80\0\0\0\0\1"


@given(st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=223))
def test_a_name_comes_back_as_it_was(name: str) -> None:
    identity = transport_id(name, ISID)
    assert to_text(identity) == f"{name},i,0x800000000001"
    assert from_text(to_text(identity)) == identity


@given(st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=223))
def test_its_length_is_stated_and_a_multiple_of_four(name: str) -> None:
    identity = transport_id(name, ISID)
    length = int.from_bytes(identity[2:4], "big")
    assert identity[0] == 0x45
    assert len(identity) == 4 + length
    assert length >= 20
    assert length % 4 == 0
    assert identity[-1] == 0


@pytest.mark.parametrize("text", ["", "iqn.x", ",i,0x800000000001", "iqn.x,i,0x80", "iqn.x,i,0xzz"])
def test_what_names_no_port_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"names no initiator port|hexadecimal"):
        from_text(text)
