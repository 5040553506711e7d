"""What a derivation is written in: its symbols, equations and sections."""

from __future__ import annotations

from typing import NamedTuple

from sympy import Expr, Symbol, symbols

alpha, mu, m = symbols("alpha mu m", real=True)
tau, s, sigma, K = symbols("tau s sigma K", positive=True)
S, g, delta = symbols("S g delta", real=True)


class Equation(NamedTuple):
    """``left`` is by definition, or has been found to be, ``right``."""

    left: Symbol
    right: Expr


class Section(NamedTuple):
    """A step of the derivation: what it does, in LaTeX and in plain text, and its equations."""

    latex: str
    text: str
    equations: tuple[Equation, ...]


def weight_symbols(depth: int) -> tuple[Symbol, ...]:
    """w_1, ..., w_L."""
    return tuple(symbols(f"w_1:{depth + 1}", real=True))


def adapted_symbols(depth: int) -> tuple[Symbol, ...]:
    """w_1', ..., w_L': the weights after the inner loop."""
    return tuple(Symbol(f"w_{i}'", real=True) for i in range(1, depth + 1))


def low_first(powers: tuple[int, ...]) -> tuple[int, ...]:
    """The order in which terms are printed: 1 - alpha s² by degree, the alphabet within one."""
    return (-sum(powers), *powers)
