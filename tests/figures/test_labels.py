"""Labels of the figures: no two run into each other, and what is grey or hatched is explained."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from toylin.figures import FIGURES, basins, load, phase_diagram
from toylin.plotting import style

DATA = Path(__file__).parents[2] / "figures"


def picture(name):
    """The figure as the repository's data draw it."""
    with np.load(DATA / f"{name}.npz") as saved:
        return load(name).draw(dict(saved))


def labels(figure, monkeypatch):
    """The words that are really drawn, upright or at a right angle, with their boxes."""
    drawn, draw = [], Text.draw

    def record(self, renderer, *args, **options):
        draw(self, renderer, *args, **options)
        if self.get_visible() and self.get_text().strip() and self.get_rotation() % 90 == 0:
            drawn.append((self.get_text(), self.get_window_extent(renderer)))

    with style(), monkeypatch.context() as patch:
        patch.setattr(Text, "draw", record)
        figure.draw_without_rendering()
    return drawn


def colliding(found):
    return [(a, b) for (a, x), (b, y) in itertools.combinations(found, 2) if x.overlaps(y)]


@pytest.mark.parametrize("name", FIGURES)
def test_no_two_labels_collide_or_leave_the_page(name, monkeypatch):
    figure = picture(name)
    found = labels(figure, monkeypatch)
    assert len(found) > 15
    assert colliding(found) == []
    for words, box in found:
        assert box.x0 >= -1, words
        assert box.y0 >= -1, words
        assert box.x1 <= figure.bbox.width + 1, words
        assert box.y1 <= figure.bbox.height + 1, words


def test_a_collision_is_noticed(monkeypatch):
    figure = picture("phase_diagram")
    figure.axes[0].set_title("a title that runs on and on, into that of the next panel and on")
    assert len(colliding(labels(figure, monkeypatch))) == 1


def test_grey_and_hatched_are_explained():
    figure = picture("basins")
    (legend,) = figure.legends
    words = [text.get_text() for text in legend.get_texts()]
    assert words[0] == f"no minimum in {basins.SETTINGS['num_steps']} iterations"
    shown = figure.axes[0].images[0].get_array()
    with np.load(DATA / "basins.npz") as saved:
        grey = shown[saved["target_0"].T < 0]
    sample = to_rgb(figure.axes[0].get_lines()[0].get_color())
    np.testing.assert_allclose(grey, np.broadcast_to(sample, grey.shape))
    (legend,) = picture("phase_diagram").legends
    assert [text.get_text() for text in legend.get_texts()] == ["no better than not adapting"]
    assert legend.get_patches()[0].get_hatch() == "////"
    with np.load(DATA / "phase_diagram.npz") as saved:
        tame = dict(saved) | {"final_loss": np.full_like(saved["final_loss"], 0.01)}
    assert not phase_diagram.draw(tame).legends  # nothing is hatched
