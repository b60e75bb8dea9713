"""The data-path contract: operations, statuses, devices."""

from tierce.block.device import Capabilities, Concurrency, Device, Geometry, SimpleDevice
from tierce.block.operation import Extent, Op, Request, Settled
from tierce.block.status import GOOD, Code, Status

__all__ = [
    "GOOD",
    "Capabilities",
    "Code",
    "Concurrency",
    "Device",
    "Extent",
    "Geometry",
    "Op",
    "Request",
    "Settled",
    "SimpleDevice",
    "Status",
]
