"""What the caption of the figure ``kronecker`` says holds of its data; and a small one is made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgba

import toylin as tl
from toylin.figures import kronecker
from toylin.plotting import DEEP

COMMITTED = Path(__file__).parents[2] / "figures" / "kronecker.npz"


@pytest.fixture(scope="module")
def data():
    with np.load(COMMITTED) as saved:
        return dict(saved)


def test_what_the_caption_says(data):
    names = ("maml", "kfo", "deep_2", "deep_3", "deep_4", "bayes")
    maml, kfo, two, three, four, bayes = (data[name] / data["free"] for name in names)
    np.testing.assert_allclose(four, 1.0, rtol=1e-6)
    for above in (maml, kfo, two, three):
        np.testing.assert_allclose(above[0], 1.0, rtol=1e-6)
        assert np.all(above > 1 - 1e-6)
    assert np.all(bayes < 0.75)
    at = data["anisotropy"] == 100.0
    assert kfo[at] > 1.24
    assert three[at] < 1.01
    assert np.all(three < kfo + 1e-6)
    assert np.any(two < kfo - 0.03)
    assert np.any(two > kfo + 0.3)
    for depth, best in ((2, two), (3, three), (4, four)):
        assert abs(data[f"trained_{depth}"] / data["free"][at] - best[at]) < 0.02


def test_the_data_are_those_of_the_law(data):
    tasks = kronecker._law(100.0)
    at = np.flatnonzero(data["anisotropy"] == 100.0)[0]
    for kind, name in kronecker._NAMES.items():
        loss = tl.best_preconditioner(tasks, kind).loss
        np.testing.assert_allclose(loss - 3.0, data[name][at], rtol=1e-6)
    free, product = data["taken_free"], data["taken_kfo"]
    assert free[0, -1] > 0.7 > 0.1 > free[-1, -1]
    assert np.linalg.matrix_rank(product, tol=1e-6) == 1
    assert np.linalg.matrix_rank(free, tol=1e-6) == 3


def test_a_small_one_is_computed_and_drawn(monkeypatch):
    small = {"outputs": 2, "dim": 2, "exponents": [0.0, 1.0], "anisotropy": [1.0, 100.0]}
    small |= {"depths": [2, 3], "num_steps": 3, "estimate_tasks": 160, "bayes_tasks": 200}
    for name, value in small.items():
        monkeypatch.setitem(kronecker.SETTINGS, name, value)
    ticks = []
    data = kronecker.compute(lambda: ticks.append(1))
    assert len(ticks) == 2 + 2
    assert data["free"][1] == pytest.approx(data["deep_3"][1], rel=1e-9)
    assert data["bayes"][1] < data["free"][1] < data["kfo"][1] < data["maml"][1]
    figure = kronecker.draw(data)
    for ax in figure.axes[:2]:
        red = [x for x in ax.get_lines() if to_rgba(x.get_color())[:3] == to_rgba(DEEP)[:3]]
        assert [x.get_label() for x in red] == ["2 layers", "3 layers"]


def test_the_committed_data_are_drawn(data):
    assert len(kronecker.draw(data).axes) == 4
