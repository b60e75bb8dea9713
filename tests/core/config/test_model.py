"""What must hold among the config's own declarations."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from tierce.config.model import (
    BLOCK_SIZES,
    VOLUME_BYTES_MAX,
    FileShape,
    Limits,
    PluginsSection,
    PolicyShape,
    Selector,
    VolumeShape,
)
from tierce.options import option_info
from tierce.registry import option_types

SHAPES = (FileShape, Limits, PluginsSection, PolicyShape, Selector, VolumeShape)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_every_key_is_declared_with_documentation(shape: type[Any]) -> None:
    for field in attrs.fields(shape):
        assert option_info(field).doc.endswith("."), field.name
    assert option_types(shape)


def test_every_limit_has_a_unit_in_its_name_and_bounds() -> None:
    for field in attrs.fields(Limits):
        info = option_info(field)
        assert info.minimum is not None
        assert info.maximum is not None
        assert info.minimum <= field.default <= info.maximum  # type: ignore[operator]
        assert info.unit != "seconds" or "_s" in field.name


def test_the_largest_volume_has_whole_blocks() -> None:
    assert all(VOLUME_BYTES_MAX % size == 0 for size in BLOCK_SIZES)
