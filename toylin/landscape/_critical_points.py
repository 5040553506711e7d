"""Critical points of a loss: where its gradient vanishes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from toylin._internal import checks
from toylin._internal.shapes import Float, Int
from toylin._internal.showing import shown


@shown
@dataclass(frozen=True)
class CriticalPoints:
    """Where the gradient vanishes, sorted by loss.

    Attributes:
        points: one a row.
        loss: at each.
        eigenvalues: of the Hessian at each, in ascending order.
        index: how many of them are negative: 0 is a minimum, the number of variables a maximum,
            between them saddles.
        certified: whether these are known to be all: found by exact arithmetic, with exact signs of
            the eigenvalues. What a search finds is not.
    """

    points: Float[np.ndarray, "points variables"]
    loss: Float[np.ndarray, " points"]
    eigenvalues: Float[np.ndarray, "points variables"]
    index: Int[np.ndarray, " points"]
    certified: bool = False

    @property
    def degenerate(self) -> np.ndarray:
        """Whether an eigenvalue is exactly zero, for each point: there points meet."""
        return np.any(self.eigenvalues == 0, axis=1)

    def kind(self) -> list[str]:
        """'minimum', 'saddle', 'maximum' or 'degenerate' for each point."""
        names = {0: "minimum", self.points.shape[1]: "maximum"}
        return [
            "degenerate" if flat else names.get(int(index), "saddle")
            for index, flat in zip(self.index, self.degenerate, strict=True)
        ]

    def plot(self, ax: Any = None) -> Any:
        """Draw the points of two variables: stars for minima, crosses saddles, triangles maxima.

        Args:
            ax: matplotlib axes to draw on, of a surface say; new ones if None.

        Returns:
            The axes.

        Raises:
            ValueError: points of another number of variables.
        """
        from toylin import plotting

        checks.two_variables("points", self.points)
        with plotting.drawing(ax, size=(4.2, 3.9)) as axes:
            plotting.critical_points(axes, self.points, self.kind())
            axes.set_aspect("equal")
            if ax is None:
                axes.set(xlabel="$w_1$", ylabel="$w_2$")
                axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
        return axes

    def census(self) -> tuple[int, int, int]:
        """How many minima, saddles and maxima; degenerate points are none of them."""
        kinds = self.kind()
        return kinds.count("minimum"), kinds.count("saddle"), kinds.count("maximum")
