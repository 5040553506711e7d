"""The explorer's single task, and the setting in its address."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from chromium import PHONE, call, fragment, go, load, press, settle, shown
from helpers import scalar_params
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import toylin as tl

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("weights", [[0.4], [0.4, 1.3], [0.4, 1.3, -0.8]])
def test_inner_steps_are_those_of_the_package(browser, weights):
    load(browser)
    points = call(browser, "supportPoints", 7, {"shots": 5, "noiseStd": 0.3}, 1.2)
    x, y = np.array(points).T
    support = tl.RegressionPoints(jnp.asarray(x)[:, None], jnp.asarray(y))
    rules = [tl.MAML(0.2, steps) for steps in range(4)]
    adapted = [tl.autodiff.adapt(scalar_params(weights), support, rule) for rule in rules]
    want = [float(tl.end_to_end(params)[0, 0]) for params in adapted]
    got = call(browser, "adaptedSlopes", weights, points, 0.2, 3)
    np.testing.assert_allclose(got, want, rtol=1e-12)
    assert abs(want[3] - want[0]) > 0.1


def test_points_are_those_of_the_law_and_of_their_seed(browser):
    load(browser)
    law = {"shots": 20_000, "noiseStd": 0.5}
    x, y = np.array(call(browser, "supportPoints", 3, law, 1.5)).T
    noise = y - 1.5 * x
    for values, std in ((x, 1.0), (noise, 0.5)):
        assert abs(values.mean()) < 0.03
        assert values.std() == pytest.approx(std, rel=0.03)
        assert np.mean(np.abs(values) < std) == pytest.approx(0.6827, abs=0.015)
    assert abs(np.corrcoef(x, noise)[0, 1]) < 0.03
    again, other = (np.array(call(browser, "supportPoints", s, law, -1.0)).T[0] for s in (3, 4))
    np.testing.assert_array_equal(again, x)  # another slope, the same points
    assert abs(np.corrcoef(other, x)[0, 1]) < 0.03
    assert call(browser, "supportPoints", 3, {"shots": None, "noiseStd": 0.5}, 1.5) is None


def test_the_deep_model_has_learned_the_task_after_a_step_and_the_shallow_one_has_not(browser):
    load(browser)
    task = shown(browser)["task"]
    assert task["shallow"]["slopes"] == pytest.approx([0, 0.15], abs=1e-3)
    assert task["deep"]["slopes"] == pytest.approx([0, 1.5], abs=1e-3)
    assert task["deep"]["losses"] == pytest.approx([1.125, 0], abs=1e-3)
    press(browser, "updates", Keys.HOME)
    task = shown(browser)["task"]
    assert task["deep"]["slopes"][0] == task["shallow"]["slopes"][0] == pytest.approx(0.8 * 1.2)
    assert 0.2 < task["deep"]["losses"][1] / task["deep"]["losses"][0] < 1
    press(browser, "steps", Keys.END)
    label = browser.find_element(By.ID, "task-deep").get_attribute("aria-label")
    assert "in 5 steps" in label
    assert label.count(",") == 5  # six slopes


def test_new_points_are_drawn_where_there_are_points(browser):
    load(browser, PHONE)
    button = browser.find_element(By.ID, "redraw")
    assert not button.is_enabled()
    press(browser, "shots", *[Keys.ARROW_LEFT] * 5)
    assert button.is_enabled()
    before = shown(browser)["task"]["points"]
    assert len(before) == 5
    browser.execute_script("arguments[0].click()", button)
    settle(browser)
    assert shown(browser)["task"]["points"] != before
    inner, scroll = browser.execute_script(
        "return [window.innerWidth, document.documentElement.scrollWidth]"
    )
    assert scroll <= inner == PHONE[0]


def test_the_address_opens_its_setting(browser):
    load(browser)
    go(browser, "#alpha=0.5&depth=3&shots=5&noise=0.25&start=-0.5,1&theta=-1.2&steps=3&points=9")
    found = shown(browser)
    assert found["settings"] == {
        "stepSize": 0.5, "depth": 3, "shots": 5, "noiseStd": 0.25, "thetaMean": 0,
    }  # fmt: skip
    assert found["start"] == [-0.5, 1]
    assert found["task"]["theta"] == -1.2
    assert len(found["task"]["deep"]["slopes"]) == 4
    points = call(browser, "supportPoints", 9, {"shots": 5, "noiseStd": 0.25}, -1.2)
    assert found["task"]["points"] == points
    browser.find_element(By.CSS_SELECTOR, "button[type=reset]").click()
    settle(browser)
    assert fragment(browser) == ""
    assert shown(browser)["start"] == [0.8, 1.2]


def test_the_address_follows_what_is_turned(browser):
    load(browser)
    assert fragment(browser) == ""
    press(browser, "alpha", Keys.ARROW_RIGHT)
    press(browser, "shots", Keys.HOME)
    press(browser, "map", Keys.ARROW_UP)
    assert fragment(browser) == "#alpha=0.11&shots=1&start=0.8,1.3"
    before = shown(browser)
    browser.refresh()
    settle(browser)
    assert shown(browser) == before


@pytest.mark.parametrize(
    "said", ["", "#", "#alpha=x&shots=4&start=1&points=0.5", "#start=1,Infinity&steps=<b>"]
)
def test_what_an_address_may_not_say_is_left_out(browser, said):
    load(browser)
    assert call(browser, "readAddress", said) == {}
