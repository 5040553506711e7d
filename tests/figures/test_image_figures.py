"""The figures on images: what their captions say holds of the data, and small ones are made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from toylin.figures import ON_IMAGES, load, plan

COMMITTED = Path(__file__).parents[2] / "figures"
TINY = {"size": 8, "ways": 2, "shots": 1, "num_queries": 1, "num_tasks": 2, "num_steps": 4}
TINY |= {"test_tasks": 16, "seeds": [0]}


def data(name):
    with np.load(COMMITTED / f"{name}.npz") as saved:
        return dict(saved)


def after(found):
    """The mean over seeds of the accuracy after training, by method."""
    return {k[9:]: v[..., -1].mean(1) for k, v in found.items() if k.startswith("accuracy_")}


@pytest.fixture(scope="module")
def drawings(tmp_path_factory):
    """Two alphabets of three characters for each set, drawn at random, as Omniglot is laid out."""
    root, rng = tmp_path_factory.mktemp("omniglot"), np.random.default_rng(0)
    for part in ("images_background", "images_evaluation"):
        for k in range(3):
            folder = root / part / "Alphabet" / f"character{k:02d}"
            folder.mkdir(parents=True)
            for n in range(2):
                pixels = rng.integers(0, 2, (105, 105), dtype=np.uint8) * 255
                Image.fromarray(pixels).save(folder / f"{k:04d}_{n:02d}.png")
    return root


def test_what_the_caption_of_omniglot_says():
    found = data("omniglot")
    by = after(found)
    small, middle, _ = range(3)
    learned = ("meta-kfo", "nonlinear-kfo", "meta-curvature")
    assert by["one"][middle] < 0.45
    for name in learned:
        assert np.ptp(by[name]) < 0.02
        assert np.all(by[name] > by["one"] + 0.2)
    assert 0.02 < by["output"][middle] - by["one"][middle] < 0.1
    assert np.all(by["input"][middle:] > by["meta-kfo"][middle:] - 0.02)
    assert by["input"][small] < by["meta-kfo"][small] - 0.2
    for name in ("two", "three"):
        assert by["one"][middle] + 0.1 < by[name][middle] < by["meta-kfo"][middle] - 0.05
    assert np.all(by["meta-sgd"] < 0.53)


def test_what_the_caption_of_convolutional_says():
    by = after(data("convolutional"))
    shallow, _, deepest = range(3)
    assert by["maml"][deepest] > by["maml"][shallow] + 0.05
    assert by["maml_linear"][deepest] > by["maml"][deepest] + 0.05
    assert np.all(by["maml_linear"] > by["maml"])
    gain = by["maml_kfo"] - by["maml"]
    assert np.all(gain > 0.1)
    assert gain[shallow] > gain[deepest] + 0.05
    assert by["anil"][deepest] < by["anil"][shallow]
    assert np.all(np.abs(by["anil_linear"] - by["anil"]) < 0.05)
    assert np.all(np.abs(by["anil_kfo"] - by["maml_kfo"]) < 0.03)


@pytest.mark.parametrize("name", ON_IMAGES)
def test_a_small_one_is_computed_and_drawn(name, drawings, monkeypatch):
    module = load(name)
    few = dict(list(module.METHODS.items())[-3 if name == "omniglot" else 0 :: 4])
    monkeypatch.setattr(module, "METHODS", few)
    small = TINY | {"step_sizes": [0.1], "record_every": 2, "depths": [1], "width": 2}
    monkeypatch.setitem(module.BUDGETS, "small", module.BUDGETS["small"] | small)
    made, ticks = plan(name, drawings), []
    found = made.compute(lambda: ticks.append(1))
    assert len(ticks) == made.steps == len(few)
    assert made.settings["budget"] == "small"
    for method in few:
        accuracy = found[f"accuracy_{method}"]
        assert accuracy.shape == (1, 1, 3 if name == "omniglot" else 2)
        assert np.all((accuracy >= 0) & (accuracy <= 1))


def test_what_is_asked_must_fit(tmp_path):
    with pytest.raises(ValueError, match="root must be the folder of the images, which omniglot"):
        plan("omniglot")
    with pytest.raises(ValueError, match="budget must be one of small, large, got 'huge'"):
        plan("omniglot", tmp_path, "huge")
    with pytest.raises(ValueError, match="root must be for omniglot or convolutional, not teaser"):
        plan("teaser", tmp_path)
