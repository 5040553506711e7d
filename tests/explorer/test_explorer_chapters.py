"""The explorer's chapters, and the page as a lecture shows it."""

from __future__ import annotations

import numpy as np
import pytest
from chromium import DESKTOP, PHONE, fragment, go, load, press, settle, shown, text
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

ALPHA = "\N{GREEK SMALL LETTER ALPHA}"
pytestmark = pytest.mark.browser
PANELS = (
    *("relief-panel", "map-panel", "training-panel", "shallow-panel"),
    *("directions", "task", "classes"),
)


def panels(browser):
    return [name for name in PANELS if browser.find_element(By.ID, name).is_displayed()]


@pytest.fixture
def fits(browser):
    def check(size):
        inner, scroll = browser.execute_script(
            "return [window.innerWidth, document.documentElement.scrollWidth]"
        )
        assert scroll <= inner == size[0]

    return check


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_chapters_set_what_they_speak_of(browser, size, fits):
    load(browser, size)
    first = shown(browser)
    assert panels(browser) == list(PANELS)
    assert not browser.find_element(By.ID, "back").is_enabled()
    seen = []
    while browser.find_element(By.ID, "next").is_enabled():
        press(browser, "next", Keys.ENTER)
        now = shown(browser)
        seen.append(text(browser, "words"))
        assert len(text(browser, "source")) > 40
        assert 1 <= len(panels(browser)) <= 2
        fits(size)
        check_seen(browser, size)
        if f"{ALPHA} = 1 goes" in seen[-1]:
            assert now["settings"]["stepSize"] == 1
            assert now["deepBest"] == pytest.approx(now["floor"], abs=1e-12)  # as it claims
        if "share of K shots" in seen[-1]:
            assert (now["settings"]["shots"], now["settings"]["noiseStd"]) == (5, 0.5)
            share = 1 / (1 + 2 / 5 + 0.5**2 / 5)
            for lower, upper in now["starts"]:
                assert 0.1 * (lower**2 + upper**2) == pytest.approx(share)
            assert 0.01 < now["deepBest"] < now["floor"] - 0.01
        if "two clouds" in seen[-1]:
            models = [now["classes"][name]["scores"] for name in ("shallow", "deep")]
            assert models[0][0] == pytest.approx(models[1][0])  # they start as one function
            assert [m[-1]["loss"] < 0.2 < m[0]["loss"] - 0.5 for m in models] == [False, True]
    assert len(set(seen)) == len(seen) == 7
    for _ in seen:
        press(browser, "back", Keys.ENTER)
    assert not browser.find_element(By.ID, "story").is_displayed()
    assert panels(browser) == list(PANELS)
    assert shown(browser) == first


def test_a_link_opens_its_chapter_and_its_setting(browser):
    load(browser)
    go(browser, "#chapter=5")
    assert "share of K shots" in text(browser, "words")
    assert shown(browser)["settings"]["shots"] == 5
    assert fragment(browser) == "#chapter=5"
    press(browser, "noise", Keys.HOME)
    assert fragment(browser) == "#chapter=5&noise=0"
    go(browser, "#chapter=6&shots=5")
    press(browser, "turn", Keys.HOME)
    press(browser, "upper", Keys.END)
    assert fragment(browser) == "#chapter=6&shots=5&turn=-180&upper=150"
    before = shown(browser)
    classes = before["classes"]
    best = 2 / np.sqrt(0.1)  # twice one over the root of the step size
    assert classes["weight"] == pytest.approx(1.5 * best)
    assert classes["m"] == pytest.approx([-1.6, 0], abs=1e-9)
    assert len(classes["points"]) == 5
    browser.refresh()
    settle(browser)
    assert shown(browser) == before
    assert text(browser, "words").startswith("Logistic regression")
    picture = "return document.getElementById('class-deep').toDataURL()"
    drawn = browser.execute_script(picture)
    press(browser, "moves", Keys.END)
    assert len(shown(browser)["classes"]["deep"]["weights"]) == 6
    assert browser.execute_script(picture) != drawn
    browser.find_element(By.CSS_SELECTOR, "button[type=reset]").click()
    settle(browser)
    settle(browser)
    assert fragment(browser) == "#chapter=6"  # Reset brings back what the chapter opens with
    go(browser, "#chapter=8&present=yes")
    assert not browser.find_element(By.ID, "story").is_displayed()
    assert panels(browser) == list(PANELS)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_lecture_is_large_and_shows_few_panels(browser, size, fits):
    load(browser, size)
    start = shown(browser)["start"]
    press(browser, "present", Keys.ENTER)
    assert panels(browser) == ["map-panel", "training-panel"]
    for wanted in (["shallow-panel", "task"], ["map-panel", "training-panel"]):
        ActionChains(browser).send_keys(Keys.PAGE_DOWN).perform()
        settle(browser)
        assert panels(browser) == wanted
        fits(size)
    if size == DESKTOP:
        for number in range(1, 8):
            go(browser, f"#present=1&chapter={number}")
            tall = browser.execute_script("return document.documentElement.scrollHeight")
            assert tall <= size[1], number
            for canvas in browser.find_elements(By.TAG_NAME, "canvas"):
                if canvas.is_displayed():
                    assert canvas.size["height"] > 180
        go(browser, "#present=1&chapter=2")
    words = browser.find_element(By.ID, "words").value_of_css_property("font-size")
    assert float(words.removesuffix("px")) == {DESKTOP: 21, PHONE: 17}[size]  # it is 15 else
    # A click lies where it is seen, larger or not: at the middle of the map's square.
    canvas = browser.find_element(By.ID, "map")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    off = round(17 * {DESKTOP: 1.5, PHONE: 1.2}[size])
    ActionChains(browser).move_to_element_with_offset(canvas, off, -off).click().perform()
    settle(browser)
    assert shown(browser)["start"] == pytest.approx([0, 0], abs=0.05)
    assert start != [0, 0]
    ActionChains(browser).send_keys(Keys.PAGE_UP).perform()
    settle(browser)
    browser.execute_script("document.activeElement.blur()")
    ActionChains(browser).send_keys(Keys.ESCAPE).perform()
    settle(browser)
    assert panels(browser) == ["shallow-panel", "task"]  # the chapter's, as it is else
    assert browser.find_elements(By.CSS_SELECTOR, "body.talk") == []
    assert browser.get_log("browser") == []


def check_seen(browser, size):
    """What the chapter speaks of is in sight: the top of each panel, or of the first on a phone."""
    places = [
        browser.find_element(By.ID, name).rect["y"]
        - browser.execute_script("return window.scrollY")
        for name in panels(browser)
    ]
    assert max(places) < size[1] - 300 if size == DESKTOP else min(places) < size[1] - 200


def test_a_chapter_shows_the_knobs_that_it_speaks_of(browser):
    def knobs():
        inputs = browser.find_elements(By.CSS_SELECTOR, "input[type=range]")
        return [knob.get_attribute("id") for knob in inputs if knob.is_displayed()]

    load(browser)
    assert len(knobs()) == 11
    go(browser, "#chapter=1")
    assert knobs() == ["alpha", "theta", "steps"]
    go(browser, "#chapter=3")
    assert knobs() == ["alpha", "theta", "updates"]
    go(browser, "#chapter=3&depth=3")  # a link of one's own keeps its knob
    assert knobs() == ["alpha", "depth", "theta", "updates"]
    go(browser, "#chapter=6")
    assert knobs() == ["alpha", "depth", "shots", "turn", "moves", "upper"]
    assert not browser.find_element(By.ID, "readout").is_displayed()  # it is of the regression


def test_back_leads_to_the_chapter_before(browser):
    load(browser)
    for name in ("next", "next", "next"):
        browser.find_element(By.ID, name).click()
        settle(browser)
        fragment(browser)
    browser.back()
    settle(browser)
    assert browser.find_element(By.ID, "chapter").get_attribute("value") == "1"
    browser.forward()
    settle(browser)
    assert browser.find_element(By.ID, "chapter").get_attribute("value") == "2"
    assert browser.get_log("browser") == []


def test_a_presenter_turns_chapters_wherever_the_focus_is(browser):
    load(browser)
    go(browser, "#present=1&chapter=1")
    theta = press(browser, "theta", Keys.ARROW_LEFT)
    value = theta.get_property("value")
    ActionChains(browser).send_keys(Keys.PAGE_DOWN).perform()
    settle(browser)
    assert text(browser, "words").startswith("f(x) = w₂w₁x")
    assert value == "1.4"
    press(browser, "map", Keys.PAGE_DOWN)
    assert fragment(browser) == "#present=1&chapter=3"
    press(browser, "alpha", Keys.PAGE_UP, Keys.ESCAPE)
    assert fragment(browser) == "#chapter=2"


def test_the_legend_is_under_the_map_and_a_phone_keeps_the_numbers_in_sight(browser):
    load(browser, PHONE)
    box = browser.find_element(By.ID, "map").rect
    legend = browser.find_element(By.ID, "legend").rect
    assert 0 < legend["y"] - (box["y"] + box["height"]) < 100
    browser.execute_script("document.getElementById('training').scrollIntoView()")
    press(browser, "alpha", Keys.ARROW_RIGHT)
    live = browser.find_element(By.ID, "live")
    assert live.text == "shallow 0.396 · deep 0.000 · no step 0.500"
    where = browser.execute_script("return arguments[0].getBoundingClientRect().top", live)
    assert 0 <= where < 30
    bar = browser.find_element(By.ID, "controls").rect
    assert bar["height"] < 0.18 * PHONE[1]
