"""Whether losses jump as sampled ones do, and over how many of them to average for a picture."""

from __future__ import annotations

import numpy as np

_TURNS = 0.5, 0.85  # around the two thirds of independent draws
_JUMP = 1e-3  # of the loss: smaller ones are not seen


def smoothing_window(rows: np.ndarray) -> int:
    """Records to average over: a fiftieth of them where they look sampled, else 1.

    Of independent draws two in three lie above both neighbours or below both (Bienaymé's turning
    points); of a smooth curve few do, and of one that flips to and fro all. The second half
    decides, where a fall from the start is over.

    Args:
        rows: losses, shape (runs, records).
    """
    late = rows[:, rows.shape[1] // 2 :]
    window = rows.shape[1] // 50
    if window < 2:
        return 1
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        jumps = np.diff(late, axis=1)
        turns = np.mean(np.sign(jumps[:, 1:]) * np.sign(jumps[:, :-1]) < 0)
        size = np.median(np.abs(jumps)) / np.median(np.abs(late))
    low, high = _TURNS
    return window if low < turns < high and size > _JUMP else 1
