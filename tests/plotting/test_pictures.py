"""Pictures in one call: what is drawn is what was found, on axes that are given or new."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba

import toylin as tl
from toylin import plotting
from toylin.landscape import Basins, Surface
from toylin.training import plot_together

LOSS = np.geomspace(2.0, 0.1, 40)
RUN = tl.Run((jnp.ones((1, 1)),) * 2, jnp.asarray(LOSS), jnp.zeros(40), np.arange(40) * 5)
SHALLOW = dataclasses.replace(RUN, params=RUN.params[:1])
LEVELS = {"no adaptation": 0.5, "shallow floor": 0.41, "deep floor": 0.09, "Bayes": 0.08}


def line(ax, label):
    return next(drawn for drawn in ax.get_lines() if drawn.get_label() == label)


def test_a_run_is_red_and_a_shallow_one_black():
    ax = RUN.plot(label="deep")
    assert SHALLOW.plot(ax, label="shallow", references=LEVELS) is ax
    assert len(plt.get_fignums()) == 1
    for name, colour in (("deep", plotting.DEEP), ("shallow", plotting.SHALLOW)):
        np.testing.assert_array_equal(line(ax, name).get_xdata(), RUN.iteration)
        np.testing.assert_array_equal(line(ax, name).get_ydata(), LOSS)
        assert to_rgba(line(ax, name).get_color()) == to_rgba(colour)
    pair = (SHALLOW.params, tl.MetaSGD.identity(SHALLOW.params, 0.1))
    joint = dataclasses.replace(RUN, params=pair)
    assert to_rgba(joint.plot().get_lines()[0].get_color()) == to_rgba(plotting.SHALLOW)
    assert ax.get_ylim()[0] == 0
    names = {text.get_text(): text for text in ax.texts}
    assert set(names) == set(LEVELS)
    assert sorted(text.xy[1] for text in ax.texts) == sorted(LEVELS.values())
    assert names["Bayes"].get_va() == "top"  # the deep floor is too near to write between
    assert names["deep floor"].get_va() == "bottom"


def inside(ax):
    """Whether each name of a level, as drawn, lies within the axes."""
    ax.figure.canvas.draw()
    box = ax.get_window_extent().padded(1)
    return [
        box.y0 <= drawn.y0 and drawn.y1 <= box.y1
        for drawn in (text.get_window_extent() for text in ax.texts)
    ]


def test_levels_beyond_the_losses_are_seen_with_their_names():
    low = dataclasses.replace(RUN, loss=RUN.loss / 100)  # all of it far below the levels
    ax = low.plot(references={"no adaptation": 0.5, "shallow floor": 0.41})
    assert inside(ax) == [True, True]
    assert ax.get_ylim()[0] == 0
    assert 0.5 < ax.get_ylim()[1] < 0.6
    ax = RUN.plot(references={"no adaptation": RUN.plot().get_ylim()[1] * 0.99})
    assert inside(ax) == [True]
    assert ax.get_ylim() == RUN.plot().get_ylim()
    levels = {"no adaptation": 50.0, "deep floor": 1e-3, "Bayes": 0.0, "rounding": 1e-19}
    ax = plot_together({"deep": RUN}, references=levels)
    assert [text.get_text() for text in ax.texts] == ["deep floor", "no adaptation"]
    assert inside(ax) == [True, True]
    low, high = ax.get_ylim()
    assert 1e-4 < low < 1e-3
    assert 50 < high < 500
    ax.set_yscale("log")
    plotting.reference_lines(ax, {"none": -1.0})  # which a log axis has no place for
    assert "none" not in [text.get_text() for text in ax.texts]


def test_runs_side_by_side_are_their_median_and_range():
    batch = dataclasses.replace(
        RUN,
        loss=jnp.stack([RUN.loss, 2 * RUN.loss, 4 * RUN.loss]),
        iteration=np.stack([RUN.iteration] * 3),
    )
    ax = batch.plot(label="three")
    np.testing.assert_allclose(line(ax, "three").get_ydata(), 2 * LOSS)
    (band,) = ax.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((LOSS[-1], 4 * LOSS[0]))


def test_sampled_losses_are_averaged():
    ax = tl.SavedRun(RUN.params, tl.MAML(0.1), RUN.loss, {}).plot(label="mean", window=10)
    assert line(ax, "mean").get_ydata()[0] == pytest.approx(LOSS[:10].mean())
    rng = np.random.default_rng(0)
    falling = np.geomspace(2.0, 0.1, 1000)
    sampled = falling * rng.gamma(16, 1 / 16, (3, 1000))
    many = dataclasses.replace(RUN, loss=sampled[0], iteration=np.arange(1000))
    pale, mean = many.plot().get_lines()
    assert mean.get_label() == "running mean of 20"
    np.testing.assert_array_equal(pale.get_ydata(), sampled[0])
    assert mean.get_ydata()[5] == pytest.approx(sampled[0, 5:25].mean())
    assert mean.axes.get_legend() is not None
    assert len(many.plot(window=1).get_lines()) == 1
    assert len(dataclasses.replace(many, loss=sampled).plot().get_lines()[0].get_xdata()) == 981
    flipping = falling * (1 + 0.1 * (-1.0) ** np.arange(1000))  # a step too large, not a sample
    rounded = falling.clip(0.5) * (1 + 1e-7 * rng.normal(size=1000))
    lost = np.where(np.arange(1000) > 600, np.nan, falling)
    for exact in (falling, flipping, rounded, lost, np.ones(1000), np.zeros(1000)):
        (line_,) = dataclasses.replace(many, loss=exact).plot().get_lines()
        np.testing.assert_array_equal(line_.get_ydata(), exact)
    plt.close("all")
    for window in (0, 41, 1.5):
        with pytest.raises(ValueError, match=f"window must be .*got {window}"):
            RUN.plot(window=window)
    nothing = dataclasses.replace(RUN, loss=RUN.loss[:0], iteration=RUN.iteration[:0])
    with pytest.raises(ValueError, match="window must be at most the number of records, 0, got 1"):
        nothing.plot()


def test_a_long_run_does_not_look_for_a_place_for_its_legend():
    """matplotlib goes through all points for the best one, and warns after a second."""
    for length, found in ((100, "best"), (200_000, "upper right")):
        loss = np.geomspace(2.0, 0.1, length)
        run = dataclasses.replace(RUN, loss=loss, iteration=np.arange(length))
        place = run.plot(label="a run").get_legend()._get_loc()
        assert place == {"best": 0, "upper right": 1}[found]
    plt.close("all")


def test_a_bias_is_no_layer():
    layer = {"weight": jnp.ones((1, 2)), "bias": jnp.ones(1)}
    for depth, colour in ((1, plotting.SHALLOW), (2, plotting.DEEP)):
        run = dataclasses.replace(RUN, params=(layer,) * depth)
        assert to_rgba(run.plot().get_lines()[0].get_color()) == to_rgba(colour)
    plt.close("all")


@pytest.mark.parametrize("kind", plotting.FORMATS)
def test_a_figure_is_the_same_bytes_each_time(kind):
    def drawn():
        figure = plotting.new_figure(2, 2)
        figure.add_subplot().plot([0, 1])
        return plotting.render(figure, kind)

    assert drawn() == drawn()
    assert drawn()[:4] in (b"\x89PNG", b"<?xm", b"%PDF")
    with pytest.raises(ValueError, match="kind must be one of png, svg, pdf, got 'gif'"):
        plotting.render(plotting.new_figure(2, 2), "gif")


def test_points_lie_on_their_surface():
    axis = np.linspace(-1, 1, 9)
    plane = Surface(axis, axis[:7], np.add.outer(axis**2, axis[:7] ** 2))
    points = tl.CriticalPoints(
        np.array([[0.0, 0.5], [0.5, 0.0], [0.1, 0.2]]),
        np.arange(3.0),
        np.array([[1, 2], [-1, 1], [-2, -1]]),
        np.array([0, 1, 2]),
    )
    ax = points.plot(plane.plot(top=0.7))
    for name, point in zip(("minimum", "saddle", "maximum"), points.points, strict=True):
        np.testing.assert_array_equal(line(ax, name).get_xydata(), [point])
    (filled,) = ax.collections
    assert filled.get_clim() == (0, 0.7)
    assert len(ax.figure.axes) == 2  # and a colour bar
    heights = plane.plot_relief(top=0.7)
    assert heights.get_zlim() == (0, 0.7)
    assert heights.name == "3d"
    ticks = plane.plot_relief(top=9.0).get_xticks()
    assert 0 < np.abs(ticks).max() < 0.95  # of 1: none in a corner, where two axes meet
    for plot in (plane.plot, plane.plot_relief):
        with pytest.raises(ValueError, match="top must be a positive number, got 0"):
            plot(top=0)
    flat = tl.CriticalPoints(np.zeros((1, 3)), np.zeros(1), np.ones((1, 3)), np.zeros(1, int))
    with pytest.raises(ValueError, match="points must have two variables to be drawn, got 3"):
        flat.plot()


@pytest.mark.parametrize("even", [True, False])
def test_basins_have_the_colours_of_their_minima(even):
    starts = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    starts[0] -= 0.0 if even else 0.5
    minima = np.array([[1.0, 0.0], [-1.0, 0.0]])
    found = Basins(np.array([1, 1, 0, -1]), np.array([5, 50, 5, 50]), starts, starts, minima)
    ax = found.plot()
    if even:
        (image,) = ax.images
        colours = image.get_array()[[0, 1, 0, 1], [0, 0, 1, 1]]
    else:
        (dots, *_) = ax.collections
        colours = dots.get_facecolors()[:, :3]
    red, blue = colours.T[[0, 2]]
    assert np.all(blue[:2] > red[:2])  # by its angle, the second
    assert red[2] > blue[2]
    assert np.ptp(colours[3]) < 1e-12  # grey: none was reached
    assert colours[0].sum() > colours[1].sum()  # faster is paler
    (legend,) = ax.figure.legends
    grey = line(ax, "no minimum in 50 iterations")
    assert grey.get_label() in [text.get_text() for text in legend.get_texts()]
    np.testing.assert_allclose(to_rgba(grey.get_color())[:3], colours[3])
    everywhere = found._replace(target=np.zeros(4, int)).plot()
    assert [at.get_label() for at in everywhere.get_lines()] == ["minimum"]
    with pytest.raises(ValueError, match="starts must have two variables to be drawn, got 1"):
        found._replace(starts=starts[:, :1]).plot()


def test_a_tail_shows_where_its_mean_lies():
    tail = tl.Tail(*map(jnp.asarray, (1e6, 0.3, 1e-5, 1.0)))
    ax = tail.plot(losses=np.geomspace(0.01, 10, 1000))
    drawn = {at.get_label().split(",")[0]: at.get_xdata()[0] for at in ax.get_lines()}
    assert drawn == pytest.approx({"exact mean": 1e6, "exact median": 0.3})
    assert ax.get_xscale() == "log"
    assert sum(bar.get_height() for bar in ax.patches) == pytest.approx(1, abs=2e-3)
    assert not tail.plot().patches


def test_the_style_is_left_as_it_was():
    before = dict(plt.rcParams)
    RUN.plot(references=LEVELS)
    assert dict(plt.rcParams) == before


def test_references_are_the_levels_that_have_a_closed_form():
    tasks, rule = tl.LinearRegression(noise_std=0.1, shots=10), tl.MAML(0.1)
    assert tl.reference_losses(tasks, rule) == pytest.approx(
        {
            "no adaptation": 0.505,
            "shallow floor": float(tl.shallow_floor(tasks, rule)),
            "deep floor": float(tl.deep_floor(tasks, rule)),
            "Bayes": float(tl.bayes_loss(tasks)),
        }
    )
    several = tl.LinearRegression(dim=3, theta_mean=1.0, x_cov=jnp.diag(jnp.array([1.0, 2.0, 3.0])))
    found = tl.reference_losses(several, tl.MAML(0.1, steps=2))
    assert set(found) == {"no adaptation", "shallow floor", "Bayes"}
    assert found["no adaptation"] == pytest.approx(3.0)  # 1/2 tr(theta_cov x_cov)
    with pytest.raises(ValueError, match="tasks must be a LinearRegression"):
        tl.reference_losses(tl.BinaryClassification(dim=2, shots=3), rule)


@pytest.mark.parametrize(
    ("values", "places", "edges", "names", "log"),
    [
        ([3, 1, 2], [1, 2, 3], [0.5, 1.5, 2.5, 3.5], ["1", "2", "3"], False),
        ([0.1, 1.0, 10.0], [0.1, 1, 10], 10 ** np.arange(-1.5, 2), ["0.1", "1", "10"], True),
        ([5.0, np.inf], [0, 1], [-0.5, 0.5, 1.5], ["5", "population"], False),
        (["maml", "anil"], [0, 1], [-0.5, 0.5, 1.5], ["maml", "anil"], False),
        ([0.4], [0.4], [-0.1, 0.9], ["0.4"], False),
    ],
)
def test_an_axis_of_settings(values, places, edges, names, log):
    scale = plotting.scale_of(values)
    np.testing.assert_allclose(scale.places, places)
    np.testing.assert_allclose(scale.edges, edges)
    assert (scale.names, scale.log) == (names, log)
