"""Standard input, output and error, as whoever starts `tierce` left them."""

from __future__ import annotations

import os
import sys


def secure_streams() -> None:
    """See to it that all three are there and take every text.

    Some launchers close them. The next thing that is opened would get their numbers: a log would
    go into a socket, and a socket into the screen. Python has None then in their place.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        _secure_descriptor(number)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            # Names of files need be no text in anybody's language.
            reconfigure(errors="backslashreplace")


def _secure_descriptor(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        nothing = os.open(os.devnull, os.O_RDWR)
        if nothing != number:
            os.dup2(nothing, number)
            os.close(nothing)
        else:
            os.set_inheritable(number, True)
