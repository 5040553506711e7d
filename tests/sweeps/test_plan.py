"""What a sweep is made of: the order of its axes is free, and its parts are checked at the door."""

from __future__ import annotations

import json

import jax
import numpy as np
import pytest

import toylin as tl


def test_numbers_may_come_before_structure():
    axes = {"step_size": [0.1, 0.2], "x_cov": [1.0, 2.0], "steps": [1, 2], "depth": [1, 2]}
    got = tl.sweep(over=axes, num_steps=3)
    want = tl.sweep(over=dict(reversed(axes.items())), num_steps=3)
    assert got.final_loss.dims == tuple(axes)
    assert len(np.unique(got.final_loss)) == 16
    np.testing.assert_allclose(
        got.final_loss, want.final_loss.transpose(*axes), rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize(("loss", "test_tasks"), [("exact", None), ("sampled", 64)])
def test_settings_say_on_how_many_tasks_a_loss_was_measured(loss, test_tasks):
    got = tl.sweep(over={"depth": [1]}, loss=loss, num_steps=2, test_tasks=64)
    assert json.loads(got.attrs["settings"])["test_tasks"] == test_tasks


@pytest.mark.parametrize("progress", [True, False])
def test_progress_counts_the_runs(progress, capsys):
    tl.sweep(over={"step_size": [0.1, 0.2]}, num_steps=2, progress=progress)
    assert ("2/2" in capsys.readouterr().err) == progress


CHANGES = {
    "nan": lambda x: np.asarray(x) * np.nan,
    "negative": lambda x: -np.asarray(x),
    "stacked": lambda x: np.stack([np.asarray(x)] * 3),
    "complex": lambda x: np.asarray(x) + 1j,
    "a word": lambda x: "x",
}
PARTS = {
    "tasks": tl.LinearRegression(theta_mean=0.3, noise_std=0.2),
    "rule": tl.MAML(0.1),
    "optimizer": tl.Optimizer("adam", 0.1, {"b1": 0.9}),
    "model": tl.DeepLinear(),
}


@pytest.mark.parametrize("how", CHANGES)
@pytest.mark.parametrize("part", PARTS)
def test_parts_changed_past_their_constructors_are_refused(part, how):
    """They gave NaN, or losses of a law that is none, in silence."""
    if how == "negative" and part in ("rule", "optimizer"):
        pytest.skip("a step may be negative")
    changed = jax.tree.map(CHANGES[how], PARTS[part])
    over = {"num_tasks": [2]}
    with pytest.raises(ValueError, match=f"^{part} must be made by its constructor: "):
        tl.sweep(**{part: changed}, over=over, num_steps=2, loss="sampled")
    if part in ("tasks", "rule", "optimizer"):
        over = {part: {"right": PARTS[part], "wrong": changed}}
        with pytest.raises(ValueError, match=f"^{part} must be made by its constructor: "):
            tl.sweep(over=over, num_steps=2)
