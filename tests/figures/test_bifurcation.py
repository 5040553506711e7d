"""What the caption of the figure ``bifurcation`` says holds of its data, and of what is drawn."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from toylin.figures import bifurcation
from toylin.plotting import DEEP


@pytest.fixture(scope="module")
def data():
    ticks = []
    found = bifurcation.compute(lambda: ticks.append(1))
    assert len(ticks) == bifurcation.STEPS
    return found


def kinds(data, name, at):
    kind = data[f"{name}_kind"][data[f"{name}_value"] == at].tolist()
    return tuple(kind.count(k) for k in ("minimum", "saddle", "maximum"))


def test_minima_outlive_what_surrounds_them(data):
    steps, shots = np.unique(data["step_size_value"]), np.unique(data["shots_value"])
    assert kinds(data, "step_size", steps[0]) == (4, 8, 5)
    assert kinds(data, "step_size", steps[-1]) == (4, 4, 1)
    assert {kinds(data, "step_size", s)[0] for s in steps} == {4}
    np.testing.assert_allclose(data["step_size_bifurcation"], 0.26748, rtol=1e-4)
    assert data["step_size_name"].tolist() == ["fold"]
    assert data["shots_name"].tolist() == ["fold, 11-12"]
    assert sum(kinds(data, "shots", 11)) < sum(kinds(data, "shots", 12))
    assert {kinds(data, "shots", k)[0] for k in shots} == {4}


def test_a_second_minimum_beyond_the_fold_of_the_mean(data):
    means = np.unique(data["theta_mean_value"])
    assert data["theta_mean_name"].tolist() == ["pitchfork", "fold"]
    before, after = (means[means < x][-1] for x in (data["theta_mean_bifurcation"][1], 9.0))
    assert kinds(data, "theta_mean", after)[0] > kinds(data, "theta_mean", before)[0]
    last = (data["theta_mean_value"] == after) & (data["theta_mean_kind"] == "minimum")
    loss = data["theta_mean_loss"][last]
    assert loss.min() < 1e-9
    assert loss.max() > 1


def test_what_is_drawn(data):
    figure = bifurcation.draw(data)
    assert [ax.get_xlabel() for ax in figure.axes] == [*bifurcation._PANELS.values()]
    for ax, name in zip(figure.axes, bifurcation._PANELS, strict=True):
        red = [x for x in ax.get_lines() if to_rgba(x.get_color()) == to_rgba(DEEP)]
        drawn = {(x, round(y, 9)) for line in red for x, y in zip(*line.get_data(), strict=True)}
        here = data[f"{name}_kind"] == "minimum"
        values, losses = data[f"{name}_value"][here], data[f"{name}_loss"][here]
        assert drawn == {(x, round(y, 9)) for x, y in zip(values, losses, strict=True)}
        assert len(ax.texts) == len(data[f"{name}_bifurcation"])
