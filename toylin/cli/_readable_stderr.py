"""One line for what JAX's C++ says in eighty when a process of several is gone, and aborts.

Nothing in Python can catch that, so that stderr goes through this program: what it reads is passed
on, up to the first message of the kind. Its argument is the line to say instead.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

_OWN = b"toylin: "
_FATAL = re.compile(rb"[EF][0-9]{4} [0-9:.]{8,}")  # how Abseil begins an error


def say_instead(line: str) -> None:
    """From here on, what else this process says on stderr is said as it is."""
    program = [sys.executable, "-I", "-S", __file__, line]
    reader = subprocess.Popen(
        program,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C does not end it before what it reads
    )
    assert reader.stdin is not None
    os.dup2(reader.stdin.fileno(), 2)
    reader.stdin.close()
    reader.returncode = 0  # nobody waits for it: it ends after this process


def _main(line: bytes) -> None:
    said, fatal, rest = False, False, b""
    while content := os.read(0, 65536):
        # Progress is shown by lines that have no end yet: passed on if they can be no error.
        *whole, rest = re.split(rb"(?<=[\n\r])", rest + content)
        if not fatal and rest[:1] not in (b"E", b"F"):
            whole, rest = [*whole, rest], b""
        for text in whole:
            fatal = fatal or bool(_FATAL.match(text))
            own = text.startswith(_OWN)
            if not fatal or (own and not said):
                os.write(2, text)
            said = said or own
    if fatal and not said:
        os.write(2, _OWN + line + b"\n")


if __name__ == "__main__":
    _main(sys.argv[1].encode())
