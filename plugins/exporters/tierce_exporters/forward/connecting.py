"""A connection to the peer: resolved, connected and, where it is asked for, secured.

It may take its time, within bounds, and is made aside.
"""

from __future__ import annotations

import contextlib
import socket
import ssl

from tierce import Address, TemporaryError, explain
from tierce_exporters.options import ForwardTls

#: For each step.
CONNECT_S = 5.0


def connect(address: Address, tls: ssl.SSLContext | None, server_name: str) -> socket.socket:
    """Return a connection that does not block.

    Args:
        address: The peer's.
        tls: How it is secured; None: it is not.
        server_name: What the peer's certificate must be of.

    Raises:
        TemporaryError: It can't be made; the message says why.
    """
    made: socket.socket | None = None
    try:
        made = socket.create_connection((address.host, address.port), CONNECT_S)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if tls is not None:
            made = tls.wrap_socket(made, server_hostname=server_name)
        made.setblocking(False)
    except OSError as error:
        # What is wrong with a certificate is said by an OSError too.
        if made is not None:
            with contextlib.suppress(OSError):
                made.close()
        raise TemporaryError(f"can't connect to {address}: {explain(error)}") from error
    return made


def tls_context(options: ForwardTls) -> ssl.SSLContext:
    """Return how a connection is secured.

    Raises:
        TemporaryError: A file can't be read, or is none.
    """
    try:
        made = ssl.create_default_context(cafile=options.ca_file)
        if options.certificate is not None:
            made.load_cert_chain(options.certificate, options.key)
    except OSError as error:
        files = ", ".join(filter(None, (options.ca_file, options.certificate, options.key)))
        raise TemporaryError(f"TLS can't be used with {files}: {explain(error)}") from error
    return made
