"""The teaser's figures: reproducible data, complete files, and the claims that they illustrate."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

import toylin as tl
from toylin._internal.files import npz_bytes
from toylin.figures import FIGURES, TEASER, load
from toylin.figures._held import HeldLoss, held_maml
from toylin.figures._save import _rounded, save

# As the command computes them: the optimisation that the tests go without pays here.
COMPUTE = """
import sys
from toylin._internal.compiling import compile_quickly
compile_quickly()
import numpy as np
from toylin.cli._common import use_float64
from toylin.figures import TEASER, load
use_float64()
for name in TEASER:
    ticks = []
    data = load(name).compute(lambda: ticks.append(1))
    assert len(ticks) == load(name).STEPS
    np.savez(f"{sys.argv[1]}/{name}.npz", **data)
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    clean = {key: value for key, value in os.environ.items() if key != "XLA_FLAGS"}
    subprocess.run([sys.executable, "-c", COMPUTE, str(folder)], env=clean, check=True)
    return lambda name: dict(np.load(folder / f"{name}.npz"))


@pytest.mark.parametrize("name", TEASER)
def test_a_figure_is_saved_with_its_data_and_settings(name, data, tmp_path):
    module = load(name)
    figure = module.draw(data(name))
    paths = save(tmp_path, name, figure, data(name), module.SETTINGS, module.CAPTION)
    assert sorted(p.suffix for p in paths) == [".json", ".npz", ".pdf", ".png", ".svg"]
    assert all(p.stat().st_size > 500 for p in paths)
    assert len(list(tmp_path.iterdir())) == 5  # nothing temporary is left
    with np.load(tmp_path / f"{name}.npz") as saved:
        assert set(saved) == set(data(name))
        for key, array in saved.items():
            np.testing.assert_allclose(array, data(name)[key], rtol=5e-8, atol=1e-12)  # or rounding
            assert np.all(np.isfinite(array))
    about = json.loads((tmp_path / f"{name}.json").read_text())
    assert about["settings"] == json.loads(json.dumps(module.SETTINGS))
    assert {"toylin", "jax", "numpy"} <= set(about["versions"])


def test_stored_numbers_have_eight_digits():
    exact = np.array([0.0, 9e-13, -np.pi, 3.76e19 / 7, 2e-12 / 3e-3, np.inf])
    got = _rounded(exact)
    assert got.tolist() == [0.0, 0.0, -3.1415927, 5.3714286e18, 6.6666667e-10, np.inf]
    assert _rounded(np.arange(3)).dtype == int


def test_held_layers_leave_the_shallower_model():
    """One program for several depths: losses and gradients of the model without those layers."""
    tasks = tl.LinearRegression(dim=2, theta_mean=0.4, noise_std=0.3)
    deep = tl.init(jax.random.key(0), (2, 2, 2, 1))
    shallow, free = (deep[0], deep[2]), (True, False, True)
    for steps in (1, 2):
        rule, held = tl.MAML(0.3, steps), held_maml(0.3, steps, free)
        loss, grads = jax.value_and_grad(HeldLoss(tl.ExactLoss(tasks, held), free))(deep)
        want = tl.closed_form.outer_value_and_grad(shallow, tasks, rule)
        np.testing.assert_allclose(loss, want[0], rtol=1e-13)
        np.testing.assert_array_equal(grads[1], 0)
        for got, same in zip((grads[0], grads[2]), want[1], strict=True):
            np.testing.assert_allclose(got, same, rtol=1e-11, atol=1e-13)


def test_the_data_are_the_same_bit_for_bit():
    first, again = (load("depth").compute(lambda: None) for _ in range(2))
    assert npz_bytes(again) == npz_bytes(first)


def test_meta_training_flows_to_the_four_minima(data):
    d = data("loss_surface")
    assert np.bincount(d["critical_index"]).tolist() == [4, 8, 5]
    minima = d["critical_points"][d["critical_index"] == 0]
    ends = d["trajectories"][:, -1]
    distance = np.linalg.norm(ends[:, None] - minima, axis=-1)
    assert np.all(distance.min(1) < 0.02)
    assert set(distance.argmin(1)) == {0, 1, 2, 3}
    assert np.all(d["trajectory_losses"][:, -1] < 1e-6)
    assert float(d["shallow_floor"]) == pytest.approx(0.405, rel=1e-12)


def test_the_teaser_shows_the_claim(data):
    d = data("teaser")
    floor, bayes = float(d["regression_shallow_floor"]), float(d["regression_bayes"])
    assert np.all(d["regression_shallow_loss"] >= floor)
    assert np.all(d["regression_shallow_loss"][:, -1] < floor + 0.01)
    assert np.all(d["regression_deep_loss"][:, -1] < 0.25 * floor)
    deep_floor = float(d["regression_deep_floor"])
    assert bayes < deep_floor
    assert np.all(d["regression_deep_loss"] >= deep_floor)
    assert np.all(d["regression_deep_loss"][:, -1] < deep_floor + 0.005)
    last = {key: np.median(d[f"classification_{key}"][:, -1]) for key in (
        "shallow_loss", "deep_loss", "shallow_accuracy", "deep_accuracy")}  # fmt: skip
    assert last["shallow_loss"] > 0.6 > 0.2 > last["deep_loss"]
    assert last["deep_accuracy"] > 0.93 > 0.8 > last["shallow_accuracy"]
    exact = d["classification_shallow_exact_loss"]  # against 500 tasks of 10 shots
    np.testing.assert_allclose(d["classification_shallow_loss"][0], exact, atol=0.03)


def test_depth_rescues_a_wrong_step_size(data):
    d = data("depth")
    final, bayes = np.median(d["final_loss"], -1), float(d["bayes"])
    small, right, large = range(3)
    assert final[0, right] == pytest.approx(bayes, rel=1e-6)
    assert final[0, small] > 50 * bayes
    assert final[0, large] > 500 * bayes
    for depth in (1, 2):
        assert np.all(final[depth] < 1.01 * bayes)


def test_figures_are_known_by_name():
    assert set(TEASER) <= set(FIGURES)
    with pytest.raises(ValueError, match=r"figure must be one of loss_surface.*got 'nothing'"):
        load("nothing")


def test_a_failed_write_leaves_the_earlier_figure(data, tmp_path, monkeypatch):
    module = load("depth")
    figure = module.draw(data("depth"))
    save(tmp_path, "depth", figure, data("depth"), module.SETTINGS, module.CAPTION)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def broken(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", broken)
    with pytest.raises(OSError, match="disk full"):
        save(tmp_path, "depth", figure, {"x": np.zeros(3)}, {}, "other")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
