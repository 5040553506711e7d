"""The pictures of a sweep, as ``runs.toylin.plot()`` and ``runs.toylin.plot_training()``.

xarray's own way of adding methods to a Dataset: an accessor, here of the package's name.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray

from toylin._internal import checks
from toylin._internal.shapes import Float

_FEW = 7  # colours in one picture
_DASHES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 3)))


@xarray.register_dataset_accessor("toylin")
class SweepPictures:
    """Pictures of what ``sweep`` and ``open_store`` return; runs not there yet are left out."""

    def __init__(self, runs: Any) -> None:
        self._runs = runs

    def plot(self, x: str | None = None, y: str | None = None, ax: Any = None) -> Any:
        """Draw the loss after meta-training over two axes, or one: the median over all others.

        Hatched is what is no better than not adapting; over one axis, a dashed line is that loss,
        and a band the quartiles.

        Args:
            x: the axis across; ``step_size``, or the longest of numbers, by default.
            y: the axis up; ``depth``, or the next longest, by default.
            ax: matplotlib axes to draw on; new ones, with a colour bar and a legend of the
                hatching, if None.

        Returns:
            The axes.

        Raises:
            ValueError: no such axis, or no finished run that did not diverge.
        """
        from toylin import plotting

        dims = self.dims(x, y)
        loss, bar = self.final_loss(*dims), self.unadapted_loss()
        with plotting.drawing(ax) as axes:
            mesh = draw_final(axes, self._runs, dims, loss, bar)
            if ax is None and mesh is not None:
                label = f"final loss{pooled(self._runs, 'median', *dims)}"
                axes.figure.colorbar(mesh, ax=axes, label=label, extend="max")
                plotting.hatching_legend(axes.figure)
        return axes

    def plot_training(self, over: str | None = None, ax: Any = None) -> Any:
        """Draw the loss along meta-training: a colour for each setting of one axis.

        Another axis of up to six settings has a dash for each. Over all else, seeds above all, a
        curve is the median, and a band the quartiles; the picture says over what.

        Args:
            over: the axis of the colours; by default ``depth``, or else that of ``plot`` across. At
                most seven of its settings are drawn, evenly spaced.
            ax: matplotlib axes to draw on; new ones if None.

        Returns:
            The axes.

        Raises:
            ValueError: no such axis.
        """
        from toylin import plotting

        over = over if over is not None else self.dims()[-1]
        dashed = self.dashed(over)
        losses = self.training_loss(over, dashed)
        with plotting.drawing(ax) as axes:
            draw_training(axes, self._runs, over, dashed, losses)
        return axes

    def dashed(self, over: str) -> str | None:
        """The axis whose settings ``plot_training`` tells by dashes, if one has few."""
        checks.choice("over", over, self._swept)
        few = [d for d in self._swept if d != over and 1 < self._runs.sizes[d] <= len(_DASHES)]
        return next((d for d in (*self.dims(), *few) if d in few), None)

    def dims(self, x: str | None = None, y: str | None = None) -> tuple[str, ...]:
        """The axes across and up, or across alone where only one is swept."""
        dims = self._swept
        for name, asked in (("x", x), ("y", y)):
            if asked is not None:
                checks.choice(name, asked, dims)
        size = self._runs.sizes
        numbers = [d for d in dims if self._runs[d].dtype.kind in "fiu"]
        longest = sorted(numbers, key=lambda d: (d != "step_size", -size[d]))
        x = x or next((d for d in [*longest, *dims] if d != y), dims[0])
        rest = sorted((d for d in dims if d != x), key=lambda d: (d != "depth", -size[d]))
        y = y or next(iter(rest), None)
        return (x,) if y is None or y == x else (x, y)

    @property
    def _swept(self) -> list[str]:
        dims = [d for d in self._runs.final_loss.dims if d != "seed"]
        if not dims:
            raise ValueError("runs must be over at least one axis, got none but seeds")
        return dims

    def final_loss(self, x: str, y: str | None = None) -> Float[np.ndarray, ...]:
        """Shape (y, x), the median over the rest; or (rest, x). Infinite where a run diverged."""
        checks.choice("x", x, self._swept)
        if y is not None:
            checks.choice("y", y, [d for d in self._swept if d != x])
        done = self._done()
        final = self._runs.final_loss.where(~self._runs.diverged, np.inf).where(done)
        if y is None:
            values = final.transpose(..., x).values
            return values.reshape(-1, values.shape[-1])
        others = [d for d in final.dims if d not in (x, y)]
        return final.median(others).transpose(y, x).values

    def unadapted_loss(self) -> float:
        """The lowest loss without adaptation that any run ends with."""
        bar = self._runs.unadapted_loss.where(self._done())
        return float(bar.where(np.isfinite(bar)).min())

    def training_loss(
        self, over: str, dashed: str | None = None
    ) -> Float[np.ndarray, "settings *dashes runs records"]:
        """The loss along meta-training for each setting of ``over``, and of ``dashed``."""
        checks.choice("over", over, self._swept)
        if dashed is not None:
            checks.choice("dashed", dashed, [d for d in self._swept if d != over])
        first = [over] if dashed is None else [over, dashed]
        loss = self._runs.loss.where(self._done()).transpose(*first, ..., "iteration").values
        return loss.reshape(*loss.shape[: len(first)], -1, loss.shape[-1])

    def _done(self) -> Any:
        # A sweep in memory has no such variable: all of its runs are done.
        return self._runs.computed if "computed" in self._runs else True


def draw_final(axes: Any, runs: Any, dims: tuple[str, ...], loss: np.ndarray, bar: float) -> Any:
    """What ``plot`` draws; returns what a colour bar is made from, None for one axis."""
    from toylin import plotting

    positive = loss[np.isfinite(loss) & (loss > 0)]
    if not positive.size:
        raise ValueError("runs must hold at least one finished run that did not diverge")
    scales = [plotting.scale_of(runs[d].values) for d in dims]
    mesh = None
    if len(dims) == 2:
        low = max(float(positive.min()), 1e-6)
        high = max(2 * bar, 10 * low)
        mesh = plotting.phase(axes, scales[0], scales[1], loss, low, high, bar)
    else:
        plotting.line(axes, scales[0], loss)
        axes.set_ylabel(f"final loss{pooled(runs, 'median and quartiles', *dims)}")
        plotting.reference_lines(axes, {"no adaptation": bar})
    for axis, scale, name in zip((axes.xaxis, axes.yaxis), scales, dims, strict=False):
        scale.apply(axis, name)
    return mesh


def draw_training(axes: Any, runs: Any, over: str, dashed: str | None, loss: np.ndarray) -> None:
    """What ``plot_training`` draws, from what ``training_loss`` returns."""
    from toylin import plotting

    scale = plotting.scale_of(runs[over].values)
    shown = np.unique(np.linspace(0, len(loss) - 1, min(len(loss), _FEW)).round().astype(int))
    values = runs[over].values[scale.order]
    depths = over == "depth" and scale.numbers
    colours = (
        plotting.depth_colours(values[shown])
        if depths
        else (plotting.sequential_colours(len(shown)))
    )
    rows = loss[:, None] if dashed is None else loss
    second = None if dashed is None else plotting.scale_of(runs[dashed].values)
    dashes = _DASHES[: rows.shape[1]]
    for k, colour in zip(shown, colours, strict=True):
        for place, dash in enumerate(dashes):
            level = place if second is None else second.order[place]
            curves = rows[scale.order[k], level]
            curves = curves[np.isfinite(curves[:, 0])]
            if len(curves):
                x, quartiles = runs.iteration.values, (0.25, 0.75)
                plotting.band(axes, x, curves, colour, scale.names[k], quartiles)
                axes.lines[-1].set_linestyle(dash)
    below = pooled(runs, "median and quartiles", over, dashed)
    axes.set(xlabel=f"meta-iteration{below}", ylabel="loss", yscale="log")
    axes.margins(x=0)
    axes.grid(axis="y", color=plotting.REFERENCE, alpha=0.2, linewidth=0.5)
    some = "" if len(shown) == len(loss) else f", {len(shown)} of {len(loss)}"
    if second is None:
        axes.legend(title=f"{over}{some}", ncols=2)
    else:
        names = [scale.names[k] for k in shown]
        _two_columns(axes, (f"{over}{some}", names, colours), (dashed, second.names, dashes))


def pooled(runs: Any, what: str, *drawn: str | None) -> str:
    """A line that says over which axes, those that are not drawn, a median or quartiles are."""
    over = [d for d in runs.final_loss.dims if d not in drawn and runs.sizes[d] > 1]
    return f"\n({what} over {', '.join(over)})" if over else ""


def _two_columns(axes: Any, colours: tuple[Any, ...], dashes: tuple[Any, ...]) -> None:
    """A legend of two columns, each a title, names and looks: colours first, dashes beside."""
    from matplotlib.lines import Line2D

    from toylin import plotting

    empty = Line2D([], [], linestyle="none")
    columns = []
    for (title, names, looks), which in ((colours, "color"), (dashes, "linestyle")):
        lines = [Line2D([], [], **{"color": plotting.REFERENCE, which: look}) for look in looks]
        columns.append([(empty, title), *zip(lines, names, strict=True)])
    rows = max(map(len, columns))
    entries = [entry for c in columns for entry in c + [(empty, "")] * (rows - len(c))]
    axes.legend(*zip(*entries, strict=True), ncols=2, handlelength=2.6)
