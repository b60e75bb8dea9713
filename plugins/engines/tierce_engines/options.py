"""What an operator can set for the engines."""

from __future__ import annotations

import attrs

from tierce import option


@attrs.frozen
class FileOptions:
    """Where the bytes are."""

    path: str = option(
        unit="file",
        doc="The raw file, made sparse with the volume, or a block device, used as it is.",
    )
