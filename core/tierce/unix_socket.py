"""Listening at a Unix socket, however long its path is."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

#: Connections that may wait to be accepted.
BACKLOG = 256


def listen_at_path(path: Path, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
    """Listen at `path`, non-blocking, in place of a dead process's socket. Its folder is there.

    A Unix address holds 107 bytes and data folders are longer than that sometimes; so the socket
    is bound under a short name seen through /proc/self/fd, then renamed.

    Raises:
        OSError: It can't be.
    """
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    short = f".{os.getpid()}"
    listener = socket.socket(socket.AF_UNIX, kind | socket.SOCK_NONBLOCK)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(short, dir_fd=folder)
        listener.bind(f"/proc/self/fd/{folder}/{short}")
        listener.listen(BACKLOG)
        os.rename(short, path.name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        listener.close()
        raise
    finally:
        os.close(folder)
    return listener
