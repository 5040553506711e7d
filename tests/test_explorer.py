"""``toylin explore``: the file it writes, and the page in a real browser."""

from __future__ import annotations

import itertools
import os
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from browser import open_browser
from hypothesis import given
from hypothesis import strategies as st
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait
from test_cli import run

import toylin as tl
from helpers import WEIGHTS, scalar_params, value_and_grad
from toylin.explorer import MAX_DEPTH, SHOTS, page

CANVASES = ("relief", "map", "training", "shallow")
DESKTOP, PHONE = (1280, 900), (375, 812)


def test_the_page_is_one_file_that_needs_nothing_else(monkeypatch, capsys, tmp_path):
    out = tmp_path / "new" / "explorer.html"
    code, printed, err = run(monkeypatch, capsys, "explore", "--out", str(out))
    assert (code, err) == (0, "")
    assert f"wrote {out}" in printed
    text = out.read_text(encoding="utf-8")
    assert text == page()
    assert "default-src 'none'" in text  # the browser itself refuses any other resource
    assert not re.search(r"(src|href)\s*=\s*[\"'](?!data:)|https?://|@import|\bfetch\(", text)
    assert [p.name for p in out.parent.iterdir()] == ["explorer.html"]


def test_an_earlier_page_is_replaced_in_one_step(monkeypatch, capsys, tmp_path):
    out = tmp_path / "explorer.html"
    out.write_text("old")

    def broken(*_, **__):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", broken)
        code, _, err = run(patch, capsys, "explore", "--out", str(out))
    assert (code, err) == (1, "toylin: disk full\n")
    assert out.read_text() == "old"
    assert list(tmp_path.iterdir()) == [out]
    assert run(monkeypatch, capsys, "explore", "--out", str(out))[0] == 0
    assert out.read_text(encoding="utf-8") == page()


def test_an_unwritable_file_is_refused_before_any_work(monkeypatch, capsys, tmp_path):
    occupied = tmp_path / "file"
    occupied.write_text("mine")
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr("toylin.explorer.page", lambda: pytest.fail("worked"))
    for out, why in (
        (occupied / "explorer.html", "Not a directory|File exists"),
        (tmp_path, "it is not a regular file"),
        (tmp_path / "pipe", "it is not a regular file"),
    ):
        code, printed, err = run(monkeypatch, capsys, "explore", "--out", str(out))
        assert (code, printed, err.count("\n")) == (1, "", 1)
        assert re.search(rf"--out must be a file that can be written, got '.*': ({why})", err), err
    assert occupied.read_text() == "mine"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    (folder / "explorer.html").write_text(page(), encoding="utf-8")
    with open_browser(folder / "profile") as driver:
        driver.address = (folder / "explorer.html").as_uri()
        yield driver


def load(browser, size=DESKTOP):
    width, height = size
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE},
    )
    browser.get(browser.address)
    WebDriverWait(browser, 30).until(lambda b: b.find_element(By.ID, "deep-best").text)
    settle(browser)


def settle(browser):
    """Wait until what was asked for is drawn."""
    browser.execute_async_script(
        "const done = arguments[0];"
        "setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(() => done())), 20)"
    )


def pictures(browser):
    return {
        name: browser.execute_script(f"return document.getElementById('{name}').toDataURL()")
        for name in CANVASES
    }


def changed(before, after):
    return {name for name in CANVASES if before[name] != after[name]}


def press(browser, identity, *keys):
    """Give the element the focus and press keys, as one does without a mouse."""
    element = browser.find_element(By.ID, identity)
    browser.execute_script("arguments[0].focus({focusVisible: true})", element)
    ActionChains(browser).send_keys(*keys).perform()
    settle(browser)
    return element


def call(browser, function, **problem):
    return browser.execute_script(f"return window.toylin.{function}(arguments[0])", problem)


def no_complaints(browser):
    assert browser.get_log("browser") == []


@pytest.mark.browser
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_it_loads_draws_and_fits(browser, size):
    load(browser, size)
    inner, scroll = browser.execute_script(
        "return [window.innerWidth, document.documentElement.scrollWidth]"
    )
    assert inner == size[0]
    assert scroll <= inner
    for name in CANVASES:
        colours, box = browser.execute_script(
            "const c = document.getElementById(arguments[0]);"
            "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            "const seen = new Set(); for (let i = 0; i < d.length; i += 4)"
            " seen.add(d[i] * 65536 + d[i + 1] * 256 + d[i + 2]);"
            "const b = c.getBoundingClientRect(); return [seen.size, [b.left, b.right, b.height]]",
            name,
        )
        assert colours > 20, name
        assert box[0] >= 0, name
        assert box[1] <= inner, name
        assert box[2] >= 150, name
    no_complaints(browser)


@pytest.mark.browser
def test_the_numbers_shown_are_those_of_the_package(browser):
    load(browser)
    assert browser.find_element(By.ID, "shallow-best").text == "0.405"
    assert browser.find_element(By.ID, "deep-best").text == "0.000"
    press(browser, "shots", *[Keys.ARROW_LEFT] * 5)
    press(browser, "noise", *[Keys.ARROW_RIGHT] * 4)
    press(browser, "depth", Keys.ARROW_RIGHT)
    shown = browser.execute_script("return window.toylin.shown()")
    assert shown["settings"] == {"stepSize": 0.1, "depth": 3, "shots": 5, "noiseStd": 0.2}
    tasks, rule = tl.LinearRegression(noise_std=0.2, shots=5), tl.MAML(0.1)
    assert shown["floor"] == pytest.approx(float(tl.shallow_floor(tasks, rule)), rel=1e-12)
    best = 0.5 * (1 - 1 / (1 + 2 / 5 + 0.2**2 / 5)) + 0.2**2 / 2
    assert shown["deepBest"] == pytest.approx(best, rel=1e-12)
    assert browser.find_element(By.ID, "deep-best").text == f"{best:.3f}"


@pytest.mark.browser
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize(
    ("slider", "key", "shown"),
    [
        ("alpha", Keys.PAGE_UP, "0.24"),
        ("depth", Keys.ARROW_RIGHT, "3 layers"),
        ("shots", Keys.ARROW_LEFT, "100"),
        ("noise", Keys.PAGE_UP, "0.10"),
    ],
)
def test_each_slider_turns_every_picture_by_keyboard(browser, size, slider, key, shown):
    load(browser, size)
    before = pictures(browser)
    element = press(browser, slider, key)
    assert browser.find_element(By.CSS_SELECTOR, f"output[for={slider}]").text == shown
    assert element.get_attribute("aria-valuetext") == shown
    # That panel shows the shallow curve and the lowest deep loss: neither depends on the depth.
    expected = set(CANVASES) - ({"shallow"} if slider == "depth" else set())
    assert changed(before, pictures(browser)) >= expected
    press(browser, slider, Keys.HOME if key != Keys.ARROW_LEFT else Keys.END)
    assert changed(before, pictures(browser)) == set()
    no_complaints(browser)


@pytest.mark.browser
def test_the_surface_turns_by_keys_and_by_dragging(browser):
    load(browser)
    home = pictures(browser)
    for key in (Keys.ARROW_LEFT, Keys.ARROW_RIGHT, Keys.ARROW_UP, Keys.ARROW_DOWN):
        press(browser, "relief", key)
        assert changed(home, pictures(browser)) == {"relief"}
        element = press(browser, "relief", Keys.HOME)
        assert changed(home, pictures(browser)) == set()
    ActionChains(browser).drag_and_drop_by_offset(element, 60, 20).perform()
    settle(browser)
    assert changed(home, pictures(browser)) == {"relief"}


@pytest.mark.browser
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_start_moves_by_keys_and_by_click(browser, size):
    load(browser, size)
    before = pictures(browser)
    element = press(browser, "map", Keys.ARROW_LEFT, Keys.ARROW_UP)
    assert browser.execute_script("return window.toylin.shown().start") == pytest.approx([0.7, 1.3])
    assert changed(before, pictures(browser)) == {"relief", "map", "training"}
    assert "lower weight 0.7, upper weight 1.3" in element.get_attribute("aria-label")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    # The map's square lies 42 from the left and the bottom, 8 from the right and the top.
    ActionChains(browser).move_to_element_with_offset(element, 17, -17).click().perform()
    settle(browser)
    start = browser.execute_script("return window.toylin.shown().start")
    assert start == pytest.approx([0.0, 0.0], abs=0.03)


@pytest.mark.browser
def test_reset_brings_everything_back(browser):
    load(browser)
    before = pictures(browser)
    press(browser, "alpha", Keys.ARROW_RIGHT)
    press(browser, "relief", Keys.ARROW_LEFT)
    press(browser, "map", Keys.ARROW_LEFT)
    assert changed(before, pictures(browser)) == set(CANVASES)
    browser.find_element(By.CSS_SELECTOR, "button[type=reset]").click()
    settle(browser)
    settle(browser)
    assert changed(before, pictures(browser)) == set()


@pytest.mark.browser
def test_the_keyboard_reaches_everything_and_focus_is_seen(browser):
    load(browser)
    reached = []
    for _ in range(8):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        element = browser.switch_to.active_element
        reached.append(element.get_attribute("id") or element.tag_name)
        outline = element.value_of_css_property("outline-width")
        assert outline == "3px", reached[-1]
        assert element.value_of_css_property("outline-style") == "solid"
    assert reached == ["alpha", "depth", "shots", "noise", "button", "relief", "map", "summary"]
    for name in CANVASES:
        assert len(browser.find_element(By.ID, name).get_attribute("aria-label")) > 40
    for name in reached[:4]:
        assert browser.find_elements(By.CSS_SELECTOR, f"label[for={name}]")


@pytest.mark.browser
@given(data=st.data(), depth=st.integers(1, MAX_DEPTH), few=st.booleans())
def test_loss_and_gradient_are_those_of_the_package(browser, data, depth, few):
    number = st.floats(-1.5, 1.5)
    weights = data.draw(st.lists(number, min_size=depth, max_size=depth))
    shots = data.draw(st.sampled_from(SHOTS)) if few else None
    step_size = data.draw(st.floats(0.05, 1.5))
    mean, noise = data.draw(number), data.draw(st.floats(0, 1.5))
    theta_std, x_std = data.draw(st.floats(0.3, 1.5)), data.draw(st.floats(0.3, 1.5))
    tasks = tl.LinearRegression(
        theta_mean=mean, theta_cov=theta_std**2, x_cov=x_std**2, noise_std=noise, shots=shots
    )
    loss, grad = value_and_grad(tl.closed_form, scalar_params(weights), tasks, tl.MAML(step_size))
    problem = {
        "weights": weights, "stepSize": step_size, "shots": shots, "noiseStd": noise,
        "thetaMean": mean, "thetaStd": theta_std, "xStd": x_std,
    }  # fmt: skip
    load_once(browser)
    assert call(browser, "outerLoss", **problem) == pytest.approx(float(loss), rel=1e-10)
    want = np.array([float(g[0, 0]) for g in grad])
    scale = max(np.max(np.abs(want)), float(loss))
    np.testing.assert_allclose(call(browser, "outerGrad", **problem), want, rtol=0, atol=1e-10 * scale)  # fmt: skip


def load_once(browser):
    if browser.current_url != browser.address:
        load(browser)


@pytest.mark.browser
def test_losses_known_exactly(browser):
    load_once(browser)
    known = {1: 0.49216, 2: 0.75743534058622645, 3: 0.73694273257573886}
    for depth, want in known.items():
        problem = {"stepSize": 0.1, "shots": 5, "noiseStd": 0.2, "thetaMean": 0.3}
        found = call(browser, "outerLoss", weights=[0.7, -0.9, 1.1][:depth], **problem)
        assert found == pytest.approx(want, rel=1e-13)


@pytest.mark.browser
@pytest.mark.parametrize(("depth", "shots"), [(1, 5), (2, None), (3, 5), (4, 1)])
def test_meta_training_is_clipped_gradient_descent(browser, depth, shots):
    """The page's descent, repeated with the package's loss and gradient."""
    load_once(browser)
    tasks, rule = tl.LinearRegression(noise_std=0.3, shots=shots), tl.MAML(0.4)
    weights, now, rejected = np.array([WEIGHTS[0], *[WEIGHTS[2]] * (depth - 1)]), 0.05, 0
    rate, clip, updates = 0.05, 1.0, 60
    got = call(
        browser, "metaTrain", weights=weights.tolist(), stepSize=0.4, shots=shots, noiseStd=0.3,
        rate=rate, clip=clip, updates=updates,
    )  # fmt: skip
    loss, grad = value_and_grad(tl.closed_form, scalar_params(weights), tasks, rule)
    path, losses = [weights], [float(loss)]
    for _ in range(updates):
        flat = np.array([float(g[0, 0]) for g in grad])
        step = now * min(1, clip / np.linalg.norm(flat)) * flat
        next_loss, next_grad = value_and_grad(
            tl.closed_form, scalar_params(weights - step), tasks, rule
        )
        if next_loss <= loss:
            weights, loss, grad, now = weights - step, next_loss, next_grad, min(1.2 * now, rate)
        else:
            now, rejected = now / 2, rejected + 1
        path.append(weights)
        losses.append(float(loss))
    np.testing.assert_allclose(got["weights"], path, rtol=0, atol=1e-9)
    np.testing.assert_allclose(got["loss"], losses, rtol=1e-8)
    assert losses[-1] < 0.9 * losses[0]
    assert (rejected > 0) == (shots == 1)  # both branches are taken
    np.testing.assert_allclose(np.ptp(np.array(got["weights"])[:, 1:], axis=1), 0, atol=1e-9) if depth > 1 else None  # fmt: skip


@pytest.mark.browser
@pytest.mark.parametrize("depth", [2, 3, 4])
def test_starred_starts_are_minima_and_the_lowest_seen(browser, depth):
    load_once(browser)
    axis = np.linspace(-2, 2, 21)
    plane = jnp.asarray(list(itertools.product(axis, axis)))

    @jax.jit
    def facts(start, tasks, rule):
        def loss(point):
            weights = (point[0], *[point[1]] * (depth - 1))
            params = tuple(w.reshape(1, 1) for w in weights)
            return tl.closed_form.outer_loss(params, tasks, rule)

        return loss(start), jax.grad(loss)(start), jax.hessian(loss)(start), jax.vmap(loss)(plane)

    for shots, noise, step_size in itertools.product((1, 5, 100), (0.0, 1.0), (0.1, 0.5, 1.5)):
        tasks = tl.LinearRegression(noise_std=noise, shots=shots)
        starts = browser.execute_script(
            "return window.toylin.bestStarts(...arguments)",
            depth, step_size, {"shots": shots, "noiseStd": noise},
        )  # fmt: skip
        assert len(starts) == (4 if depth == 2 else 2)
        for start in starts:
            loss, grad, hessian, around = facts(jnp.asarray(start, float), tasks, tl.MAML(step_size))
            assert np.max(np.abs(grad)) < 1e-9 * np.max(np.abs(hessian))
            assert np.all(np.linalg.eigvalsh(hessian) > 0)
            assert loss <= np.min(around)
