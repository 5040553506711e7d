"""Which of the levels that bound it a loss has come down to."""

from __future__ import annotations

from collections.abc import Mapping

_NEAR = 0.01  # of the loss without adaptation


def levels_reached(loss: float, levels: Mapping[str, float], error: float = 0.0) -> list[str]:
    """The names of the levels that a loss has reached, from the highest down.

    A level is reached from above: by a loss of at most that level, one hundredth of that without
    adaptation and two standard errors. NaN reaches none.

    Args:
        loss: at the end of a run.
        levels: by name, as ``reference_losses`` returns them. Without "no adaptation" the highest
            stands for it.
        error: the standard error of ``loss``, where it is sampled.

    >>> levels_reached(0.41, {"no adaptation": 0.5, "shallow floor": 0.406, "deep floor": 0.083})
    ['no adaptation', 'shallow floor']
    """
    # Not of the highest: the floor of a step that is too long can be far above all that matters.
    scale = levels.get("no adaptation", max(levels.values(), default=0.0))
    near = _NEAR * scale + 2 * error
    ordered = sorted(levels.items(), key=lambda item: -item[1])
    return [name for name, level in ordered if loss <= level + near]
