"""What a sweep refuses, and what it takes where nothing is given."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import toylin as tl


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"over": {"colour": [1]}}, "over must name fields of the settings.*'colour'"),
        ({"over": {"step_size": []}}, "at least one value"),
        ({"over": {"step_size": 0.1}}, "must be a sequence of values"),
        ({"over": {"step_size": [0.1, np.nan]}}, "step_size must be a finite number"),
        ({"over": {"x_cov": [1.0, -1.0]}}, "x_cov must be positive definite"),
        ({"over": {"depth": [1, 0]}}, "depth must be an integer of at least 1, got 0"),
        ({"over": {"z": {"depth": [1, 2], "steps": [1]}}}, "must be equally long"),
        ({"over": {"depth": [1], "z": {"depth": [2]}}}, "twice"),
        ({"over": {"rule": [tl.MAML(0.1)]}}, "must map labels to settings"),
        ({"over": {"momentum": [0.9]}}, "'momentum'"),
        ({"optimizer": "lion_tamer"}, "optimizer must be the name of an optax optimizer"),
        ({"optimizer": tl.Optimizer("sgd")}, None),
        ({"record_every": 7}, "record_every must divide num_steps=20, got 7"),
        ({"loss": "approximate"}, "loss must be one of exact, sampled"),
        ({"devices": [1]}, r"devices must be different ones of jax.devices\(\), got \[1\]"),
        ({"devices": [1]}, "devices must be"),  # once more: JAX aborted the second time
        ({"devices": []}, "devices must be"),
        ({"devices": [jax.devices()[0]] * 2}, "devices must be"),
        ({"devices": "cpu"}, "devices must be"),
        ({"devices": [[]]}, "devices must be"),
        ({"seeds": 0}, "seeds must be an integer of at least 1"),
        ({"seeds": [1.5]}, "seeds must be"),
        ({"memory": "lots"}, "memory must be a size"),
        ({"memory": "10 B"}, "memory must allow for one run a device"),
        ({"tasks": tl.BinaryClassification(shots=3)}, "closed form"),
        ({"model": lambda params, x: x}, r"model must be such as DeepLinear\(\)"),
        ({"rule": 0.1}, "rule must be an adaptation rule"),
        ({"tasks": 3}, "tasks must be a law of tasks"),
        ({"learn_rule": "no"}, "learn_rule must be a bool"),
        ({"tasks": tl.LinearRegression(dim=2, shots=3)}, "sample tasks instead"),
    ],
)
def test_bad_input_is_named(changes, words):
    settings = {"over": {"depth": [2]}, "num_steps": 20} | changes
    if words is None:
        tl.sweep(**settings)
        return
    with pytest.raises(ValueError, match=words):
        tl.sweep(**settings)


def test_what_is_not_given_is_as_documented_and_no_axis_is_one_run():
    one = tl.sweep(over={}, num_steps=20)
    written_out = tl.sweep(
        tl.LinearRegression(),
        tl.MAML(0.1),
        over={"depth": [2]},
        model=tl.DeepLinear(),
        optimizer=tl.Optimizer("adam", 0.01),
        loss="exact",
        num_steps=20,
        seeds=[0],
    )
    assert one.final_loss.dims == ()
    assert float(one.final_loss) == float(written_out.final_loss.squeeze())
