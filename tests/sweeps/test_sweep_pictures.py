"""The pictures of a sweep: axes of numbers, of equal ratios, of categories; one axis or two."""

from __future__ import annotations

import numpy as np
import pytest
import xarray
from matplotlib.colors import to_rgba

from toylin.sweeps import _pictures  # noqa: F401  adds them to datasets

RECORDS = np.array([0, 10, 20])


def runs(seeds=3, **axes):
    """A sweep's results over these axes: the final loss counts the settings from 1, in order."""
    shape = tuple(map(len, axes.values()))
    final = np.arange(1.0, 1 + np.prod(shape)).reshape(*shape, 1) * np.array([0.9, 1, 1.2])[:seeds]
    dims = (*axes, "seed")
    loss = final[..., None] * np.array([4.0, 2.0, 1.0])
    return xarray.Dataset(
        {
            "final_loss": (dims, final),
            "unadapted_loss": (dims, np.full(final.shape, 2.5)),
            "diverged": (dims, np.zeros(final.shape, bool)),
            "loss": ((*dims, "iteration"), loss),
        },
        coords={**axes, "seed": np.arange(seeds), "iteration": RECORDS},
    )


def ticks(axis):
    axis.axes.figure.canvas.draw()
    return [label.get_text() for label in axis.get_ticklabels()]


def test_categories_have_a_tick_each_in_their_order():
    ax = runs(depth=[1, 2], shots=[5.0, np.inf]).toylin.plot(x="shots", y="depth")
    assert ticks(ax.xaxis) == ["5", "population"]
    assert ticks(ax.yaxis) == ["1", "2"]
    mesh = ax.collections[0]
    np.testing.assert_allclose(mesh.get_array(), [[1, 2], [3, 4]])
    assert len(ax.patches) == 1  # hatched: 3 and 4 are not below 2.5
    (legend,) = ax.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["no better than not adapting"]
    assert len(ax.figure.axes) == 2


def test_equal_ratios_make_a_logarithmic_axis():
    data = runs(depth=[1, 2, 3], step_size=[0.01, 0.1, 1.0, 10.0])
    assert data.toylin.dims() == ("step_size", "depth")
    ax = data.toylin.plot()
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "linear")
    np.testing.assert_allclose(ax.get_xlim(), [10**-2.5, 10**1.5])
    assert runs(step_size=[0.1, 0.2, 0.3]).toylin.plot().get_xscale() == "linear"


def test_one_axis_is_a_curve_with_the_unadapted_loss_and_training_one_a_setting():
    data = runs(step_size=[0.4, 0.1, 0.2])
    ax = data.toylin.plot()
    np.testing.assert_allclose(ax.get_lines()[0].get_xydata(), [[0.1, 2], [0.2, 3], [0.4, 1]])
    assert [text.get_text() for text in ax.texts] == ["no adaptation"]
    curves = data.toylin.plot_training().get_lines()
    assert [curve.get_label() for curve in curves] == ["0.1", "0.2", "0.4"]
    np.testing.assert_allclose(curves[0].get_ydata(), [8, 4, 2])
    np.testing.assert_array_equal(curves[0].get_xdata(), RECORDS)


def test_many_settings_are_thinned_and_said_to_be():
    ax = runs(step_size=np.linspace(0.1, 1, 20)).toylin.plot_training()
    assert len(ax.get_lines()) == 7
    assert ax.get_legend().get_title().get_text() == "step_size, 7 of 20"


def test_another_axis_of_few_settings_is_told_by_dashes_not_pooled_into_the_band():
    data = runs(depth=[1, 2], step_size=[0.4, 0.1, 0.2], steps=np.arange(7))
    ax = data.toylin.plot_training()  # depth by colour, of the rest the one that has few
    assert data.toylin.dashed("depth") == "step_size"
    curves = ax.get_lines()
    looks = {(to_rgba(curve.get_color()), curve.get_linestyle()) for curve in curves}
    assert len(curves) == len(looks) == 6
    # Depth 1 at 0.1, dashes in the order of the sizes: settings 8 to 14 of the count, so 11.
    np.testing.assert_allclose(curves[0].get_ydata(), [44, 22, 11])
    assert curves[0].get_linestyle() == curves[3].get_linestyle() == "-"
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert words == ["depth", "1", "2", "", "step_size", "0.1", "0.2", "0.4"]
    assert ax.get_xlabel().endswith("(median and quartiles over steps, seed)")
    assert data.toylin.training_loss("depth", "step_size").shape == (2, 3, 21, 3)


def test_bands_say_what_they_are_over():
    many = np.linspace(0.1, 1, 20)
    for data, words in (
        (runs(depth=[1, 2], step_size=many), "\n(median and quartiles over step_size, seed)"),
        (runs(depth=[1, 2]), "\n(median and quartiles over seed)"),
        (runs(1, depth=[1, 2], step_size=[0.1, 0.2]), ""),
    ):
        assert data.toylin.plot_training().get_xlabel() == f"meta-iteration{words}"
    ax = runs(depth=[1, 2], step_size=many, steps=[1, 2]).toylin.plot()
    assert ax.figure.axes[1].get_ylabel() == "final loss\n(median over steps, seed)"
    ax = runs(depth=[1, 2]).toylin.plot()
    assert ax.get_ylabel() == "final loss\n(median and quartiles over seed)"


def test_depth_one_is_black_and_other_axes_have_no_black():
    shades = [
        runs(**{name: [1, 2]}).toylin.plot_training().get_lines()[0] for name in ("depth", "steps")
    ]
    black = [to_rgba(shade.get_color()) == to_rgba("black") for shade in shades]
    assert black == [True, False]


def test_runs_that_are_not_there_or_diverged():
    data = runs(depth=[1, 2])
    data["computed"] = data.final_loss < 1.1
    data["diverged"][0, 0] = True
    np.testing.assert_array_equal(data.toylin.final_loss("depth")[:, 0], [np.inf, 1.0, np.nan])
    assert len(data.toylin.plot_training().get_lines()) == 1
    data["computed"][:] = False
    with pytest.raises(ValueError, match="runs must hold at least one finished run"):
        data.toylin.plot()


def test_axes_must_be_those_of_the_sweep():
    data = runs(depth=[1, 2], shots=[5.0, np.inf])
    assert data.toylin.dims(y="depth") == ("shots", "depth")
    with pytest.raises(ValueError, match="x must be one of depth, shots, got 'width'"):
        data.toylin.plot(x="width")
    for wrong in ("width", 1.5, np.zeros(2)):
        with pytest.raises(ValueError, match="x must be one of depth, shots"):
            data.toylin.final_loss(wrong)
        with pytest.raises(ValueError, match="y must be one of shots, got"):
            data.toylin.final_loss("depth", wrong)
        with pytest.raises(ValueError, match="over must be one of depth, shots"):
            data.toylin.plot_training(wrong)
    with pytest.raises(ValueError, match="y must be one of shots, got 'depth'"):
        data.toylin.final_loss("depth", "depth")
    with pytest.raises(ValueError, match="dashed must be one of shots, got 'depth'"):
        data.toylin.training_loss("depth", "depth")
    with pytest.raises(ValueError, match="runs must be over at least one axis"):
        runs().toylin.plot()
