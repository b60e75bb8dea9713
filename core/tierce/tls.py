"""What a part that speaks TLS shows and trusts."""

from __future__ import annotations

from pathlib import Path

import attrs


@attrs.frozen(kw_only=True)
class TlsMaterial:
    """Files in PEM, for `ssl.SSLContext`.

    Attributes:
        certificate: What it shows, with what leads to its root.
        key: The certificate's private key.
        trusted: The roots of whom it talks to.
    """

    certificate: Path
    key: Path
    trusted: Path
