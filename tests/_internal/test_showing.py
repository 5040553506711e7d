"""Results as a person reads them: arrays as shapes, in text and in Jupyter."""

from __future__ import annotations

from html.parser import HTMLParser

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import toylin as tl
from toylin.landscape import Basins, Surface

TASKS = tl.LinearRegression(noise_std=0.1, shots=10)
RUN = tl.Run((jnp.ones((1, 1)),), jnp.zeros(300), jnp.zeros(300), np.arange(300))
AXIS = jnp.linspace(0.0, 1.0, 50)
LARGE = [
    TASKS.sample(jax.random.key(0), 100),
    RUN,
    Surface(AXIS, AXIS, jnp.zeros((50, 50))),
    Basins(jnp.zeros(9, int), jnp.zeros(9, int), *[jnp.zeros((9, 2))] * 3),
    tl.CriticalPoints(*[np.zeros((17, 2)), np.zeros(17), np.zeros((17, 2)), np.zeros(17, int)]),
    tl.SavedRun(RUN.params, tl.MAML(0.1), RUN.loss, {"depth": 1}),
]


class Cells(HTMLParser):
    """The texts of a table, with every tag closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.texts = [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.mark.parametrize("result", LARGE, ids=lambda r: type(r).__name__)
def test_a_result_is_one_line_and_a_table(result):
    line = repr(result)
    assert "\n" not in line
    assert len(line) < 300
    assert line.startswith(f"{type(result).__name__}(")
    assert "float64[" in line
    cells = Cells()
    cells.feed(result._repr_html_())
    assert not cells.open
    assert cells.texts[0] == type(result).__name__
    for name, value in zip(cells.texts[1::2], cells.texts[2::2], strict=True):
        assert f"{name}={value}" in line


def test_small_arrays_are_shown_in_six_digits_and_functions_by_name():
    assert (
        repr(tl.MAML(jnp.asarray(1 / 3))) == "MAML(step_size=0.333333, steps=1, first_order=False)"
    )
    assert repr(tl.SampledLoss(TASKS, tl.MAML(0.1))).endswith("model=predict)")
    assert "params=(1,)" in repr(tl.SavedRun((1,), tl.MAML(0.1), RUN.loss, {}))
    assert "params=(1, 2)" in repr(tl.SavedRun((1, 2), tl.MAML(0.1), RUN.loss, {}))


def test_what_html_would_read_is_escaped():
    run = tl.SavedRun((), tl.MAML(0.1), RUN.loss, {}, model="<b>")
    assert "&lt;b&gt;" in run._repr_html_()
    assert "<b>" not in run._repr_html_()
