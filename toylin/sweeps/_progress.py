"""One line of progress: done, rate, time left; in a terminal, a log or a notebook."""

from __future__ import annotations

import sys
import time
from typing import TextIO

_QUIET = 10.0  # seconds between lines in a log


class Progress:
    """Counts runs. ``done`` runs were finished before, and count for nothing in the rate."""

    def __init__(self, total: int, done: int = 0, file: TextIO | None = None) -> None:
        self._total, self._before, self._done = total, done, done
        self._file = file or sys.stderr
        self._live = self._file.isatty() or "ipykernel" in sys.modules
        self._start = self._shown = time.perf_counter()

    def advance(self, runs: int) -> None:
        """``runs`` more are done."""
        self._done += runs
        now = time.perf_counter()
        if self._live or self._done >= self._total or now - self._shown > _QUIET:
            self._shown = now
            self._file.write(("\r" if self._live else "") + self.line(now - self._start))
            self._file.write("" if self._live and self._done < self._total else "\n")
            self._file.flush()

    def line(self, seconds: float) -> str:
        """The state after ``seconds``."""
        share = f"{self._done:,}/{self._total:,} runs  {100 * self._done / self._total:3.0f} %"
        fresh = self._done - self._before
        if fresh == 0 or seconds <= 0:
            return share
        rate = fresh / seconds
        left = duration((self._total - self._done) / rate)
        return f"{share}  {rate:,.4g} runs/s  {left} left   "


def duration(seconds: float) -> str:
    """Seconds for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
