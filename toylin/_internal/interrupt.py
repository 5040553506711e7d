"""Ctrl-C as a request: what is under way is finished, and what was done is kept."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def stop_on_interrupt() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into an event; a second one interrupts at once.

    Python lets only the main thread do so; elsewhere, and in a process that ignores Ctrl-C (one in
    the background of a shell), the event never comes.
    """
    stop = threading.Event()
    before = signal.getsignal(signal.SIGINT)
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or before == signal.SIG_IGN:
        yield stop
        return

    def handle(*_: Any) -> None:
        stop.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, handle)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def interrupted_once(leave: Callable[[], Any]) -> Iterator[None]:
    """The first Ctrl-C raises, and those after it, as the process ends, do nothing.

    Where raising goes wrong the process leaves at once instead: while modules are imported, some of
    which abort on an exception, and in callbacks of the interpreter's, which print and forget it.
    """
    before, hook = signal.getsignal(signal.SIGINT), sys.unraisablehook
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or before is not signal.default_int_handler:
        yield
        return

    def handle(_: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while frame is not None:
            if frame.f_code.co_filename.startswith("<frozen importlib"):
                leave()
            frame = frame.f_back
        raise KeyboardInterrupt

    def forgotten(unraisable: Any) -> None:
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            leave()
        hook(unraisable)

    signal.signal(signal.SIGINT, handle)
    sys.unraisablehook = forgotten
    try:
        yield
    finally:
        sys.unraisablehook = hook
        if signal.getsignal(signal.SIGINT) is handle:
            signal.signal(signal.SIGINT, before)
