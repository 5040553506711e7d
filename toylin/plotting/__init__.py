"""Pictures from arrays, in the house style: what every ``plot`` and every figure is drawn with.

Deep is red, shallow is black, references are grey; a colour is never alone in saying what it says.
Each function draws on matplotlib axes that it is given, and knows of nothing but arrays.
"""

from toylin.plotting._basins import basin_bar, basin_map, basin_shade
from toylin.plotting._curves import (
    band,
    depth_colours,
    reference_lines,
    sequential_colours,
    training_curve,
)
from toylin.plotting._phase import LOSSES, hatching_legend, line, phase
from toylin.plotting._render import FORMATS, render
from toylin.plotting._scale import Scale, scale_of
from toylin.plotting._style import (
    COLUMN,
    DEEP,
    PAGE,
    REFERENCE,
    SECOND,
    SHALLOW,
    THIRD,
    drawing,
    new_figure,
    style,
)
from toylin.plotting._surface import colour_bar, contours, critical_points, relief
from toylin.plotting._tails import spread

__all__ = [
    "COLUMN",
    "DEEP",
    "FORMATS",
    "LOSSES",
    "PAGE",
    "REFERENCE",
    "SECOND",
    "SHALLOW",
    "THIRD",
    "Scale",
    "band",
    "basin_bar",
    "basin_map",
    "basin_shade",
    "colour_bar",
    "contours",
    "critical_points",
    "depth_colours",
    "drawing",
    "hatching_legend",
    "line",
    "new_figure",
    "phase",
    "reference_lines",
    "relief",
    "render",
    "scale_of",
    "sequential_colours",
    "spread",
    "style",
    "training_curve",
]
