"""The explorer's arrows: updates of each rule, against the package's own rules."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chromium import DESKTOP, PHONE, load, press, settle, shown
from helpers import flat, scalar_params
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import toylin as tl

pytestmark = pytest.mark.browser
MINUS, NOTHING = "\N{MINUS SIGN}", "\N{EN DASH}"
RULES = {
    "MAML": tl.MAML,
    "FOMAML": tl.FOMAML,
    "Reptile": tl.Reptile,
    "ANIL": tl.ANIL,
}


@pytest.mark.parametrize(
    ("weights", "shots"), [([0.8, 1.2], None), ([0.6, -1.1], 5), ([0.7, 0.9, -1.3], 3)]
)
def test_updates_are_those_of_the_rules_of_the_package(browser, weights, shots):
    load(browser)
    problem = {"weights": weights, "stepSize": 0.4, "shots": shots, "noiseStd": 0.3}
    got = browser.execute_script("return window.toylin.ruleUpdates(arguments[0])", problem)
    law = tl.LinearRegression(noise_std=0.3, shots=shots)
    batch = tl.quadrature_batch(law, len(weights), steps=2)  # more nodes than the page has
    params = scalar_params(weights)
    for name, rule in RULES.items():
        want = -flat(tl.autodiff.outer_grad(params, batch, rule(0.4)))
        np.testing.assert_allclose(got[name], want, rtol=1e-9, atol=1e-11, err_msg=name)
    sgd = tl.MetaSGD.identity(params, 0.4)
    moved = jax.grad(lambda rule: tl.autodiff.outer_loss(params, batch, rule))(sgd)
    np.testing.assert_allclose(got["stepSizes"], -flat(moved), rtol=1e-9, atol=1e-11)
    want = -flat(tl.autodiff.outer_grad(params, batch, sgd))
    np.testing.assert_allclose(got["Meta-SGD"], want, rtol=1e-9)
    lengths = {name: np.linalg.norm(got[name]) for name in RULES}
    assert min(lengths.values()) > 1e-2
    apart = [got[a] for a in RULES]
    assert min(np.linalg.norm(np.subtract(a, b)) for a in apart for b in apart if a is not b) > 1e-3


def test_a_task_pulls_by_its_gradient(browser):
    load(browser)
    points = [[0.5, 1.0], [-1.2, 0.3]]
    x, y = jnp.asarray(points).T
    support = tl.RegressionPoints(x[:, None], y)
    moments = {"S": float(jnp.mean(x**2)), "t": float(x @ y / (x @ x))}
    got = browser.execute_script(
        "return window.toylin.taskPull([0.7, -0.4], arguments[0])", moments
    )
    want = -flat(tl.autodiff.inner_grad(scalar_params([0.7, -0.4]), support))
    np.testing.assert_allclose(got, want, rtol=1e-12)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_table_says_what_is_drawn_and_follows_the_start(browser, size):
    def cells(name):
        row = browser.find_element(By.ID, f"rule-{name}")
        return [cell.text for cell in row.find_elements(By.TAG_NAME, "td")]

    load(browser, size)
    updates = shown(browser)["arrows"]["updates"]
    for name in RULES:
        for said, exact in zip(cells(name), updates[name], strict=False):
            assert float(said.replace(MINUS, "-")) == pytest.approx(exact, abs=6e-4)
    assert cells("MAML")[2] == cells("Meta-SGD")[2] == "0°"
    u, v = (np.array(updates[name]) for name in ("ANIL", "MAML"))
    angle = np.degrees(np.arccos(u @ v / np.linalg.norm(u) / np.linalg.norm(v)))
    assert cells("ANIL")[2] == f"{angle:.0f}°"
    assert angle > 2
    before = cells("MAML")
    press(browser, "map", Keys.ARROW_UP)
    assert cells("MAML") != before
    browser.execute_script("location.hash = '#start=0,0'")
    settle(browser)
    settle(browser)
    assert cells("ANIL") == ["0.000", "0.000", NOTHING]  # a saddle: nothing moves there
    inner, scroll = browser.execute_script(
        "return [window.innerWidth, document.documentElement.scrollWidth]"
    )
    assert scroll <= inner == size[0]
