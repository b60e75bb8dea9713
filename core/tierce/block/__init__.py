"""The data-path contract: operations, statuses, devices."""

from tierce.block.comparison import first_difference
from tierce.block.device import (
    BaseDevice,
    Capabilities,
    Concurrency,
    Device,
    Geometry,
    SimpleDevice,
    SimpleExtras,
)
from tierce.block.extent_lock import ExtentHold, ExtentLock
from tierce.block.filter import Filter
from tierce.block.hole import can_punch_hole, punch_hole
from tierce.block.operation import EXTENT_COUNT_MAX, NO_FLAGS, Completed, Extent, Flag, Op, Request
from tierce.block.quiet import when_quiet
from tierce.block.simple_filter import Below, SimpleFilter
from tierce.block.status import GOOD, Code, Status

__all__ = [
    "EXTENT_COUNT_MAX",
    "GOOD",
    "NO_FLAGS",
    "BaseDevice",
    "Below",
    "Capabilities",
    "Code",
    "Completed",
    "Concurrency",
    "Device",
    "Extent",
    "ExtentHold",
    "ExtentLock",
    "Filter",
    "Flag",
    "Geometry",
    "Op",
    "Request",
    "SimpleDevice",
    "SimpleExtras",
    "SimpleFilter",
    "Status",
    "can_punch_hole",
    "first_difference",
    "punch_hole",
    "when_quiet",
]
