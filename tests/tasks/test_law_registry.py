"""The registry of laws: every law by its name, and what it takes."""

from __future__ import annotations

import inspect

import pytest

import toylin as tl
from toylin.tasks import LAWS, law_options


def test_names_are_those_of_their_classes():
    for name, law in LAWS.items():
        assert law.__name__.lower().removeprefix("linear") == name.replace("-", "")
        assert getattr(tl, law.__name__) is law


def test_options_are_what_the_law_takes():
    for name, law in LAWS.items():
        assert law_options(name) == tuple(inspect.signature(law).parameters)
    with pytest.raises(ValueError, match=r"name must be one of regression, .*got 'sines'"):
        law_options("sines")
