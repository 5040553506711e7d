"""The laws of tasks by name, as ``toylin train`` and sweep files know them.

``ImageTasks`` has no name here, since its images must be read first; nor has ``FreshMinibatches``,
which is made of another law.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias

from toylin._internal import checks
from toylin.tasks._binary_classification import BinaryClassification
from toylin.tasks._classification import Classification
from toylin.tasks._linear_regression import LinearRegression

NamedLaw: TypeAlias = LinearRegression | BinaryClassification | Classification

LAWS: Mapping[str, type[NamedLaw]] = MappingProxyType(
    {
        "regression": LinearRegression,
        "binary-classification": BinaryClassification,
        "classification": Classification,
    }
)


def law_options(name: str) -> tuple[str, ...]:
    """What the law of tasks of that name takes.

    Raises:
        ValueError: a name that is none of ``LAWS``.
    """
    checks.choice("name", name, LAWS)
    return tuple(field.name for field in dataclasses.fields(LAWS[name]))
