"""Lets the tests of this room import what they share as `tests.jiva.NAME`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
