"""The explorer's chapters, and the page as a lecture shows it."""

from __future__ import annotations

import numpy as np
import pytest
from chromium import DESKTOP, PHONE, load, press, settle
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

pytestmark = pytest.mark.browser
PANELS = (
    *("relief-panel", "map-panel", "training-panel", "shallow-panel"),
    *("directions", "task", "classes"),
)


def shown(browser):
    return browser.execute_script("return window.toylin.shown()")


def panels(browser):
    return [name for name in PANELS if browser.find_element(By.ID, name).is_displayed()]


def text(browser, name):
    return browser.find_element(By.ID, name).text


def go(browser, hash_):
    browser.execute_script("location.hash = arguments[0]", hash_)
    settle(browser)
    settle(browser)


def fragment(browser):
    """What the address says once it is written."""
    browser.execute_async_script("setTimeout(arguments[0], 300)")
    return browser.execute_script("return location.hash")


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
        assert panels(browser) == list(PANELS)
        fits(size)
        if "α = 1" in seen[-1]:  # noqa: RUF001
            assert now["settings"]["stepSize"] == 1
            assert now["deepBest"] == pytest.approx(now["floor"], abs=1e-12)  # as it claims
        if "Five noisy points" in seen[-1]:
            assert (now["settings"]["shots"], now["settings"]["noiseStd"]) == (5, 0.5)
            assert 0.01 < now["deepBest"] < now["floor"] - 0.01
        if "two clouds" in seen[-1]:
            models = [now["classes"][name]["scores"] for name in ("shallow", "deep")]
            assert models[0][0] == pytest.approx(models[1][0])  # they start as one function
            assert [m[-1]["loss"] < 0.2 < m[0]["loss"] - 0.5 for m in models] == [False, True]
    assert len(set(seen)) == len(seen) == 7
    for _ in seen:
        press(browser, "back", Keys.ENTER)
    assert not browser.find_element(By.ID, "story").is_displayed()
    assert shown(browser) == first


def test_a_link_opens_its_chapter_and_its_setting(browser):
    load(browser)
    go(browser, "#chapter=5")
    assert "Five noisy points" in text(browser, "words")
    assert shown(browser)["settings"]["shots"] == 5
    assert fragment(browser) == "#chapter=5"
    press(browser, "noise", Keys.HOME)
    press(browser, "turn", Keys.HOME)
    press(browser, "upper", Keys.END)
    assert fragment(browser) == "#chapter=5&noise=0&turn=-180&upper=150"
    before = shown(browser)
    classes = before["classes"]
    best = 2 / np.sqrt(0.1)  # twice one over the root of the step size
    assert classes["weight"] == pytest.approx(1.5 * best)
    assert classes["m"] == pytest.approx([-1.6, 0], abs=1e-9)
    assert len(classes["points"]) == 5
    browser.refresh()
    settle(browser)
    assert shown(browser) == before
    assert text(browser, "words").startswith("Five noisy points")
    picture = "return document.getElementById('class-deep').toDataURL()"
    drawn = browser.execute_script(picture)
    press(browser, "moves", Keys.END)
    assert len(shown(browser)["classes"]["deep"]["weights"]) == 6
    assert browser.execute_script(picture) != drawn
    browser.find_element(By.CSS_SELECTOR, "button[type=reset]").click()
    settle(browser)
    settle(browser)
    assert fragment(browser) == "#chapter=5"  # Reset brings back what the chapter opens with
    go(browser, "#chapter=8&present=yes")
    assert not browser.find_element(By.ID, "story").is_displayed()
    assert panels(browser) == list(PANELS)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_lecture_is_large_and_shows_few_panels(browser, size, fits):
    browser.get_log("browser")  # what earlier pages said
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
    assert panels(browser) == list(PANELS)
    assert browser.get_log("browser") == []
