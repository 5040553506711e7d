"""``toylin explore``: the file it writes, and the page in a real browser."""

from __future__ import annotations

import itertools

import pytest
from chromium import CANVASES, DESKTOP, PHONE, changed, load, pictures, press, settle, shown
from helpers import scalar_params
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import toylin as tl
from toylin.explorer import STEP_SIZES


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
    assert browser.get_log("browser") == []


@pytest.mark.browser
def test_the_numbers_shown_are_those_of_the_package(browser):
    load(browser)
    assert browser.find_element(By.ID, "shallow-best").text == "0.405"
    assert browser.find_element(By.ID, "deep-best").text == "0.000"
    press(browser, "shots", *[Keys.ARROW_LEFT] * 5)
    press(browser, "noise", *[Keys.ARROW_RIGHT] * 4)
    press(browser, "depth", Keys.ARROW_RIGHT)
    says = shown(browser)
    assert says["settings"] == {
        "stepSize": 0.1, "depth": 3, "shots": 5, "noiseStd": 0.2, "thetaMean": 0,
    }  # fmt: skip
    tasks, rule = tl.LinearRegression(noise_std=0.2, shots=5), tl.MAML(0.1)
    assert says["floor"] == pytest.approx(float(tl.shallow_floor(tasks, rule)), rel=1e-12)
    best = 0.5 * (1 - 1 / (1 + 2 / 5 + 0.2**2 / 5)) + 0.2**2 / 2
    assert says["deepBest"] == pytest.approx(best, rel=1e-12)
    assert browser.find_element(By.ID, "deep-best").text == f"{best:.3f}"
    lower, upper = says["start"]
    for curve, weights in (
        (says["deepCurve"], [lower, upper, upper]),
        (says["shallowCurve"], [lower * upper**2]),  # the same function
    ):
        first = tl.closed_form.outer_loss(scalar_params(weights), tasks, rule)
        assert curve[0] == pytest.approx(float(first), rel=1e-10)
        assert len(curve) == 1001
    assert says["deepCurve"][-1] == pytest.approx(best, abs=1e-6)
    assert says["shallowCurve"][-1] == pytest.approx(says["floor"], abs=1e-6)


BACK = {Keys.ARROW_LEFT: Keys.ARROW_RIGHT, Keys.ARROW_RIGHT: Keys.ARROW_LEFT}


@pytest.mark.browser
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize(
    ("slider", "key", "shown"),
    [
        ("alpha", Keys.PAGE_UP, "0.27"),
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
    press(browser, slider, Keys.PAGE_DOWN if key == Keys.PAGE_UP else BACK[key])
    assert changed(before, pictures(browser)) == set()
    assert browser.get_log("browser") == []


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
def test_the_scales_follow_the_floor_and_the_best_starts(browser):
    load(browser)
    says = shown(browser)
    assert (says["top"], says["extent"]) == (1.4, 3.8)
    press(browser, "shots", Keys.HOME)
    press(browser, "noise", Keys.END)
    press(browser, "alpha", Keys.END)
    floor = tl.shallow_floor(tl.LinearRegression(shots=1, noise_std=1.0), tl.MAML(4.0))
    assert browser.find_element(By.ID, "shallow-best").text == f"{floor:.3f}"
    says = shown(browser)
    assert floor < says["top"] == pytest.approx(44.8)
    assert says["extent"] == 0.475
    # Where the way to it leaves the map, not a corner, which lies on the way to the saddle at 0;
    # the one chosen comes back with the scale.
    assert says["start"] == pytest.approx([0.475 * 0.8 / 1.2, 0.475])
    assert says["deepCurve"][-1] == pytest.approx(says["deepBest"], abs=1e-3)
    assert browser.find_element(By.ID, "top").text == "44.8"
    assert browser.find_element(By.ID, "floor-legend").is_displayed()
    press(browser, "alpha", Keys.HOME)
    says = shown(browser)
    assert says["start"] == [0.8, 1.2]
    assert 4 < says["extent"] < 10 / 0.3  # the stars of a tiny step are on the map
    press(browser, "shots", Keys.END)
    press(browser, "noise", Keys.HOME)
    press(browser, "alpha", *[Keys.PAGE_UP] * 5, *[Keys.ARROW_RIGHT] * 14)
    assert browser.find_element(By.CSS_SELECTOR, "output[for=alpha]").text == "1.00"
    assert not browser.find_element(By.ID, "floor-legend").is_displayed()  # the floor is zero


TURN = """
const [turns, done] = arguments;
const alpha = document.getElementById("alpha");
const after = (turn) => new Promise((then) => {
  alpha.value = turn;
  alpha.dispatchEvent(new Event("input", { bubbles: true }));
  requestAnimationFrame(() => requestAnimationFrame(() => {
    const words = document.getElementById("verdict");
    then([alpha.getBoundingClientRect().top, words.clientHeight, words.scrollHeight]);
  }));
});
(async () => {
  const found = [];
  for (const turn of turns) found.push(await after(turn));
  done(found);
})();
"""


@pytest.mark.browser
@pytest.mark.parametrize("size", [DESKTOP, (981, 800), PHONE], ids=["desktop", "tablet", "phone"])
@pytest.mark.parametrize("setting", ["depth=3", "depth=3&shots=5&mean=1.2&noise=0.2"])
def test_the_page_holds_still_under_the_slider(browser, size, setting):
    load(browser, size)  # "three" is the longest word
    browser.execute_script("location.hash = arguments[0]", setting)
    settle(browser)
    settle(browser)
    turns = [STEP_SIZES.index(a) for a in (0.01, 0.1, 0.4, 0.85, 0.98, 1.0, 1.02, 1.5, 4.0)]
    found = browser.execute_async_script(TURN, turns)
    assert len({tuple(places) for places in found}) == 1, found


@pytest.mark.browser
def test_labels_stand_in_the_order_of_their_levels_and_apart(browser):
    load(browser)
    box = {"top": 8, "bottom": 150}
    for levels in ([10, 140], [100, 110, 112], [149, 150, 150], [8, 8, 8], [20, 80, 140], [147]):
        found = browser.execute_script(
            "return window.toylin.labelHeights(...arguments)", levels, box
        )
        assert len(found) == len(levels)
        assert all(b - a >= 16 for a, b in itertools.pairwise(found)), found
        assert found[0] >= box["top"] + 6
        assert found[-1] <= box["bottom"] - 6
    assert found == [144]  # half a label is 6 high
    apart = browser.execute_script(
        "return window.toylin.labelHeights([20, 80, 140], arguments[0])", box
    )
    assert apart == [20, 80, 140]  # where they have room, at their levels


@pytest.mark.browser
def test_it_is_dark_where_the_system_is(browser):
    def ground():
        return browser.execute_script(
            "const d = (id, ...at) => [...document.getElementById(id).getContext('2d')"
            ".getImageData(...at, 1, 1).data].slice(0, 3);"
            "return [getComputedStyle(document.body).backgroundColor, d('map', 300, 60)]"
        )

    def prefer(scheme):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        settle(browser)

    load(browser)
    light, before = ground(), pictures(browser)
    try:
        prefer("dark")
        dark = ground()
        assert changed(before, pictures(browser)) == set(CANVASES)
    finally:
        prefer("light")
    assert light[0] == "rgb(255, 255, 255)"
    assert dark[0] == "rgb(20, 23, 26)"
    assert light != dark
    assert changed(before, pictures(browser)) == set()


@pytest.mark.browser
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_reset_brings_everything_back(browser, size):
    load(browser, size)
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
    for _ in range(20):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        element = browser.switch_to.active_element
        reached.append(element.get_attribute("id") or element.tag_name)
        outline = element.value_of_css_property("outline-width")
        assert outline == "3px", reached[-1]
        assert element.value_of_css_property("outline-style") == "solid"
    assert reached == [
        *("chapter", "next", "present"),  # and "back", where there is something
        *("alpha", "depth", "shots", "noise", "mean", "button", "relief", "map", "play"),
        "shallow",
        *("theta", "steps", "updates"),  # and "redraw", where there are points
        *("turn", "moves", "upper", "summary"),  # and another such
    ]
    for name in CANVASES:
        assert len(browser.find_element(By.ID, name).get_attribute("aria-label")) > 40
    for name in reached[3:8]:
        assert browser.find_elements(By.CSS_SELECTOR, f"label[for={name}]")
