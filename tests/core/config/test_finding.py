"""Names in a config file that no plugin brings."""

from __future__ import annotations

import re

import pytest

from tierce import ConfigError
from tierce.config.finding import find
from tierce.config.source import Value
from tierce.registry import Registry


def test_a_name_that_no_plugin_brings_is_told_with_the_nearest(registry: Registry) -> None:
    value = Value("slwo", "t.yaml", 7)
    assert find("filter", registry.filters, "slow", value, "", registry).name == "slow"
    said = "t.yaml:7: volumes.a: no enabled plugin brings the filter 'slwo'; the nearest is 'slow'"
    with pytest.raises(ConfigError, match=re.escape(said)):
        find("filter", registry.filters, "slwo", value, "volumes.a", registry)
