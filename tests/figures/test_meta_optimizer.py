"""The figure meta_optimizer at a smaller budget: its facts, and that it draws."""

from __future__ import annotations

import numpy as np

from toylin.figures import meta_optimizer


def test_upper_layers_and_meta_kfo_reach_what_shallow_maml_cannot(monkeypatch):
    small = {"iterations": 800, "depths": [1, 2], "repeats": 1, "num_tasks": 8}
    for name, value in small.items():
        monkeypatch.setitem(meta_optimizer.SETTINGS, name, value)
    ticks = []
    data = meta_optimizer.compute(lambda: ticks.append(1))
    assert len(ticks) == 2 * 4 + 2 * 2

    for kind, name in (("scalar", "shallow_maml"), ("diagonal", "shallow_meta_sgd")):
        assert np.all(data[f"regression_{name}"] > data[f"best_{kind}_loss"] - 1e-12)
    for name in ("shallow_meta_kfo", "deep_maml"):
        assert data[f"regression_{name}"][-1] < 0.7 * data["best_diagonal_loss"]
    starts = [data[f"regression_{name}"][0] for name in meta_optimizer.CONTENDERS]
    np.testing.assert_allclose(starts, starts[0], rtol=1e-12)
    assert data["angle"] < 5 < 30 < data["angle_to_identity"]

    gains = data["by_depth_maml"] - data["by_depth_meta_kfo"]
    assert abs(gains[1]) < 0.2 * gains[0]
    assert len(meta_optimizer.draw(data).subfigs) == 2
