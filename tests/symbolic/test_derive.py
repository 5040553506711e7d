"""The derivation: the Python it prints against the package, its algebra against known results."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Rational, symbols

import toylin as tl
from toylin import cli, symbolic
from toylin.symbolic._equations import K, alpha, low_first, mu, s, sigma, tau

SHAPES = [(1, 0), (1, 1), (1, 3), (2, 1), (2, 2), (3, 1), (4, 1)]
CASES = [(*shape, shots) for shape in SHAPES for shots in (None, "K")]
SHOTS = 3
derived = cache(tl.derive)  # a long formula takes a second


def draw_values(data, depth):
    def between(low, high):
        return data.draw(st.floats(low, high).map(lambda x: round(x, 4)))

    return (
        tuple(between(-1.2, 1.2) for _ in range(depth)),
        between(-0.2, 0.3),
        between(-1.0, 1.0),
        between(0.2, 1.4),
        between(0.5, 1.3),
        between(0.0, 0.6),
    )


@cache
def functions(depth, steps, shots):
    """The printed functions, and the package's loss and gradient at the same arguments, jitted."""
    printed: dict = {}
    derivation = derived(depth, steps, shots)
    exec(derivation.format("python"), printed)
    loss = derivation.lambdify()
    number = () if shots is None else (SHOTS,)

    def ours(weights, step_size, mean, theta_cov, x_cov, noise):
        params = tuple(jnp.reshape(w, (1, 1)) for w in weights)
        tasks = tl.LinearRegression(
            theta_mean=mean,
            theta_cov=theta_cov,
            x_cov=x_cov,
            noise_std=noise,
            shots=None if shots is None else SHOTS,
        )
        rule = tl.MAML(step_size, steps)
        grads = tl.closed_form.outer_grad(params, tasks, rule)
        return tl.closed_form.outer_loss(params, tasks, rule), [g[0, 0] for g in grads]

    def theirs(*arguments):
        return loss(*arguments, *number)

    return printed, jax.jit(jax.value_and_grad(theirs)), jax.jit(ours)


@pytest.mark.parametrize(("depth", "steps", "shots"), CASES)
@given(data=st.data())
def test_printed_python_is_closed_form(depth, steps, shots, data):
    _, theirs, ours = functions(depth, steps, shots)
    arguments = draw_values(data, depth)
    (loss, grad), (expected, expected_grad) = theirs(*arguments), ours(*arguments)
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    scale = max(float(expected), *(abs(float(g)) for g in expected_grad))
    np.testing.assert_allclose(grad, expected_grad, rtol=0, atol=1e-12 * scale)


@pytest.mark.parametrize(("depth", "steps"), SHAPES)
@pytest.mark.parametrize("shots", [None, "K"])
@given(data=st.data())
@settings(max_examples=10)
def test_printed_adapted_weights_are_gradient_descent(depth, steps, shots, data):
    adapted_weights = functions(depth, steps, shots)[0]["adapted_weights"]
    weights, step_size, theta, second, x_cov, noise = draw_values(data, depth)
    xx, xe = (x_cov, 0.0) if shots is None else (second, noise)
    found = adapted_weights(weights, step_size, theta, *((x_cov,) if not shots else (xx, xe)))
    w = np.array(weights)
    for _ in range(steps):
        others = np.array([np.prod(np.delete(w, i)) for i in range(depth)])
        w = w - step_size * (xx * (np.prod(w) - theta) - xe) * others
    np.testing.assert_allclose(found, w, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_shallow_population_is_the_textbook_formula(steps):
    (w,) = symbols("w_1:2", real=True)
    rate = (1 - alpha * s**2) ** (2 * steps)
    wanted = s**2 / 2 * rate * ((w - mu) ** 2 + tau**2) + sigma**2 / 2
    derivation = tl.derive(1, steps)
    assert sympy.expand(derivation.substituted() - wanted) == 0
    if steps:
        assert derivation.definitions[1].right == (1 - alpha * s**2) ** steps  # and says it so


def test_depth_two_adapts_exactly_at_its_minimum():
    w_1, w_2 = symbols("w_1:3", real=True)
    loss = tl.derive(2, 1).substituted().subs({w_1: 0, w_2: 1 / (s * sympy.sqrt(alpha))})
    assert sympy.simplify(loss) == sigma**2 / 2


def test_depth_two_few_shot_minimum():
    """At (0, b) with c = alpha b² = K / (K + 2) / s², sigma = mu = 0: s² tau² / (K + 2)."""
    w_1, w_2 = symbols("w_1:3", real=True)
    b = sympy.sqrt(K / (K + 2) / alpha) / s
    at = tl.derive(2, 1, "K").substituted().subs({w_1: 0, mu: 0, sigma: 0}).subs(w_2, b)
    assert sympy.simplify(at - s**2 * tau**2 / (K + 2)) == 0


@pytest.mark.parametrize(("depth", "steps", "shots"), [(2, 2, "K"), (3, 1, "K"), (3, 2, None)])
@pytest.mark.parametrize("simplify", [0, 2, 50])
def test_substituted_is_exact_arithmetic(depth, steps, shots, simplify):
    weights = [Rational(7, 10), Rational(-9, 10), Rational(11, 10)][:depth]
    names = symbols(f"w_1:{depth + 1}", real=True)
    half = Rational(1, 2)
    values = {alpha: Rational(1, 10), mu: Rational(3, 10), tau: half, s: Rational(6, 5)}
    values |= {sigma: Rational(1, 5), K: 4, **dict(zip(names, weights, strict=True))}
    derivation = tl.derive(depth, steps, shots, simplify=simplify)
    known = dict(values)
    for left, right in derivation.definitions:
        known[left] = right.xreplace(known)
    tasks = tl.LinearRegression(
        theta_mean=values[mu],
        theta_cov=half**2,
        x_cov=values[s] ** 2,
        noise_std=values[sigma],
        shots=4 if shots else None,
    )
    expected = symbolic.outer_loss(weights, tasks, tl.MAML(values[alpha], steps))
    assert derivation.loss.xreplace(known) == expected


def test_coefficients_are_factored_up_to_the_limit():
    w_1, w_2 = symbols("w_1:3", real=True)
    u = alpha * s**2 * (w_1**2 + w_2**2)
    found = {str(e.left): e.right for e in tl.derive(2, 2).definitions}
    assert sympy.expand(found["c_1"] - (1 - u) ** 2) == 0
    assert found["c_1"].is_Pow
    assert found["c_2"].is_Mul
    once = {str(e.left): e.right for e in derived(2, 1, None).definitions}["c_1"]
    assert sympy.expand(once - 1 + u) == 0
    assert once.is_Add
    assert (once - 1).is_Mul  # 1 less a product, not a sum of three
    assert {str(e.left): e.right for e in tl.derive(2, 2, simplify=0).definitions}["c_1"].is_Add


@pytest.mark.parametrize(("depth", "steps", "shots"), [(1, 1, None), (2, 1, "K"), (2, 2, "K")])
def test_latex_is_mathematics(depth, steps, shots):
    """Every row parses as mathematics (by a parser that lacks only the sizes of brackets)."""
    from matplotlib.mathtext import MathTextParser

    latex = derived(depth, steps, shots)._repr_latex_()
    assert latex.startswith("$$\n\\begin{aligned}\n")
    assert latex.endswith("\n\\end{aligned}\n$$")
    rows = latex.split("\n")[2:-2]
    assert len(rows) > 5
    parser = MathTextParser("path")
    for row in rows:
        row = row.removesuffix(chr(92) * 2).replace("&", "")
        parser.parse(f"${row.replace(chr(92) + 'bigl', '').replace(chr(92) + 'bigr', '')}$")
    assert max(len(row) for row in rows) < 500


def test_latex_is_broken_into_lines_and_whole():
    derivation = derived(2, 2, "K")
    latex = derivation._repr_latex_()
    assert "&\\qquad" in latex
    whole = re.sub(r" *\\\\\n&\\qquad ", " ", latex)
    whole = whole.replace(r"\bigl(", r"\left(").replace(r"\bigr)", r"\right)")
    for section in derivation.sections:
        for _, right in section.equations:
            assert f"&= {sympy.latex(right, order=low_first)}" in whole


def test_latex_names_adapted_weights_by_their_layers():
    rows = re.findall(r"^w_\{(\d)\}' &= w_\{(\d)\} -", derived(2, 1, None)._repr_latex_(), re.M)
    assert rows == [("1", "1"), ("2", "2")]


def test_text_fits_a_terminal_and_reads_as_sympy():
    derivation = derived(2, 2, "K")
    text = str(derivation)
    assert max(len(line) for line in text.splitlines()) <= 100
    one_line = " ".join(text.split())
    loss = one_line.split("loss = ")[1]
    names = {x.name: x for x in derivation.loss.free_symbols}
    assert sympy.expand(sympy.sympify(loss, locals=names) - derivation.loss) == 0


def test_importing_toylin_leaves_sympy_alone():
    code = "import sys, toylin; sys.exit('sympy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"depth": 0}, "depth must be an integer of at least 1"),
        ({"depth": 11}, "depth must be at most 10"),
        ({"steps": -1}, "steps must be an integer of at least 0"),
        ({"depth": 3, "steps": 3}, "degree 75"),
        ({"depth": 3, "steps": 2, "shots": "K"}, "degree 15; for K shots degrees up to 8"),
        ({"shots": 5}, "shots must be"),
        ({"simplify": -1}, "simplify must be"),
    ],
)
def test_bad_input(arguments, match):
    with pytest.raises(ValueError, match=match):
        tl.derive(**arguments)
    with pytest.raises(ValueError, match="format must be one of text, latex, python"):
        tl.derive(1, 1).format("html")


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["toylin", "derive", *arguments])
    code = 0
    try:
        cli.main()
    except SystemExit as stop:
        code = stop.code
    return code, *capsys.readouterr()


@pytest.mark.parametrize("form", ["text", "latex", "python"])
def test_command_prints_the_derivation_and_nothing_else(monkeypatch, capsys, form):
    code, out, err = run(monkeypatch, capsys, "--depth", "1", "--shots", "K", "--format", form)
    assert code == 0
    assert out.rstrip("\n") == tl.derive(1, 1, "K").format(form).rstrip("\n")
    assert "done in" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [("--depth 0", "depth must be"), ("--shots 5", "--shots"), ("--steps 4", "degree 54")],
)
def test_bad_flags_are_one_line(monkeypatch, capsys, arguments, message):
    code, out, err = run(monkeypatch, capsys, *arguments.split())
    assert code in (1, 2)
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


def test_as_a_command():
    command = [sys.executable, "-c", "from toylin.cli import main; main()", "derive"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "D_4 = m**4 + 6*m**2*tau**2 + 3*tau**4" in done.stdout
