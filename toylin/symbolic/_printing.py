"""A derivation as text, LaTeX and Python."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import sympy

from toylin.symbolic._equations import Equation, adapted_symbols, low_first, weight_symbols

if TYPE_CHECKING:
    from toylin.symbolic._derivation import Derivation

_WIDTH = 100
_LINE = 140


def text(derivation: Derivation) -> str:
    """Section by section, wrapped to 100 columns."""
    lines = [f"{_title(derivation)}.", ""]
    for section in derivation.sections:
        lines += textwrap.wrap(section.text, _WIDTH)
        for left, right in section.equations:
            lines += textwrap.wrap(
                f"{left} = {sympy.sstr(right, order=low_first)}",
                _WIDTH,
                initial_indent="  ",
                subsequent_indent="      ",
                break_long_words=False,
            )
        lines.append("")
    return "\n".join(lines)


def latex(derivation: Derivation) -> str:
    """One displayed block: a line of words or a definition, then its equations, aligned."""
    names = {x: f"w_{{{i}}}'" for i, x in enumerate(adapted_symbols(derivation.depth), start=1)}
    names[sympy.Symbol("loss")] = r"\mathcal{L}"
    rows = []
    for section in derivation.sections:
        rows.append(rf"&{section.latex}:")
        for left, right in section.equations:
            lines = _break(sympy.latex(right, order=low_first))
            rows.append(f"{sympy.latex(left, symbol_names=names)} &= {lines[0]}")
            rows += [rf"&\qquad {line}" for line in lines[1:]]
    body = " \\\\\n".join(rows)
    return f"$$\n\\begin{{aligned}}\n{body}\n\\end{{aligned}}\n$$"


def python(derivation: Derivation) -> str:
    """A module of two functions in plain arithmetic."""
    few = derivation.shots is not None
    names = ", ".join(str(w) for w in weight_symbols(derivation.depth))
    unpack = f"    {names}{',' if derivation.depth == 1 else ''} = weights\n"
    product = f"    p = {names.replace(', ', '*')}\n"
    support = "second_moment, noise_moment" if few else "x_cov"
    if few:
        slope = "    alpha, S = step_size, second_moment\n    g = S*(p - theta) - noise_moment\n"
    else:
        slope = "    alpha, s = step_size, x_cov**0.5\n    delta = p - theta\n"
    adapted = ", ".join(sympy.pycode(w) for w in derivation.adapted)
    shots = ", shots" if few else ""
    symbols = "alpha, mu, tau, s, sigma" + (", K" if few else "")
    definitions = "".join(_assign(equation) for equation in derivation.definitions)
    return (
        f'"""{_title(derivation)}; written by toylin derive."""\n\n\n'
        f"def adapted_weights(weights, step_size, theta, {support}):\n"
        f'    """The weights of one task after the inner loop, T = {derivation.steps}."""\n'
        f"{unpack}{product}{slope}    return ({adapted},)\n\n\n"
        "def outer_loss(weights, step_size, theta_mean, theta_cov, x_cov, noise_std"
        f"{shots}):\n"
        '    """The expected loss after adaptation, 1/2 E (f(x) - y)^2."""\n'
        f"{unpack}"
        f"    {symbols} = step_size, theta_mean, theta_cov**0.5, x_cov**0.5, noise_std{shots}\n"
        f"{definitions}"
        f"    return {sympy.pycode(derivation.loss)}\n"
    )


def _title(derivation: Derivation) -> str:
    support = "K shots" if derivation.shots else "the population"
    steps = f"{derivation.steps} inner step{'s' if derivation.steps != 1 else ''}"
    return f"Scalar regression, depth {derivation.depth}, {steps} on {support}"


def _assign(equation: Equation) -> str:
    return f"    {equation.left} = {sympy.pycode(equation.right)}\n"


def _break(line: str) -> list[str]:
    """A long line of LaTeX as several, each broken before a sign: between terms or in one bracket.

    Brackets are made of a fixed size, since a pair that stretches must stay on one line.
    """
    line = line.replace(r"\left(", r"\bigl(").replace(r"\right)", r"\bigr)")
    lines, start, braces, brackets = [], 0, 0, 0
    for i, character in enumerate(line):
        braces += (character == "{") - (character == "}")
        brackets += (character == "(") - (character == ")")
        sign = line[i : i + 3] in (" + ", " - ") and braces == 0 and brackets <= 1
        if sign and i - start > _LINE:
            lines.append(line[start:i])
            start = i + 1
    return [*lines, line[start:]]
