"""The explorer's starts: moved by keys, by click, by dragging, by a finger."""

from __future__ import annotations

import pytest
from chromium import DESKTOP, PHONE, changed, go, load, pictures, press, settle, shown, swipe, text
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_start_moves_by_keys_and_by_click(browser, size):
    load(browser, size)
    before = pictures(browser)
    element = press(browser, "map", Keys.ARROW_LEFT, Keys.ARROW_UP)
    assert shown(browser)["start"] == pytest.approx([0.7, 1.3])
    assert changed(before, pictures(browser)) == {"relief", "map", "training"}
    assert "lower weight 0.7, upper weight 1.3" in element.get_attribute("aria-label")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    # The map's square lies 42 from the left and the bottom, 8 from the right and the top.
    ActionChains(browser).move_to_element_with_offset(element, 17, -17).click().perform()
    settle(browser)
    start = shown(browser)["start"]
    assert start == pytest.approx([0.0, 0.0], abs=0.03)


def places(browser):
    """The map, where its centre and the bold start are on it, and pixels a weight."""
    element = browser.find_element(By.ID, "map")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    says = shown(browser)
    scale = (element.size["width"] - 50) / (2 * says["extent"])
    (lower, upper), centre = says["start"], (17, -17)
    return element, centre, (centre[0] + scale * lower, centre[1] - scale * upper), scale


def test_the_start_is_dragged(browser):
    load(browser)
    element, _, (x, y), scale = places(browser)
    hold = ActionChains(browser).move_to_element_with_offset(element, round(x), round(y))
    hold.click_and_hold().move_by_offset(round(scale), 0).perform()
    settle(browser)
    start = shown(browser)["start"]
    assert start == pytest.approx([1.8, 1.2], abs=0.05)  # while it is held, too
    ActionChains(browser).move_by_offset(0, round(scale)).release().move_by_offset(40, 0).perform()
    settle(browser)
    start = shown(browser)["start"]
    assert start == pytest.approx([1.8, 0.2], abs=0.05)
    assert browser.get_log("browser") == []


def test_a_finger_drags_the_start_and_scrolls_elsewhere(browser):
    load(browser, PHONE)
    element, centre, at_start, scale = places(browser)
    box = element.rect
    scrolled = browser.execute_script("return window.scrollY")
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2 - scrolled)

    def dragged(offset, way):
        swipe(browser, (middle[0] + offset[0], middle[1] + offset[1]), way)
        return shown(browser)["start"], browser.execute_script("return window.scrollY")

    start, after = dragged(at_start, (0, scale))
    assert (start, after) == (pytest.approx([0.8, 0.2], abs=0.1), scrolled)
    elsewhere = (centre[0] - 2.5 * scale, centre[1] - 2.5 * scale)
    again, after = dragged(elsewhere, (0, -90))
    assert again == start
    assert after > scrolled


def test_the_first_chapter_shows_one_layer_alone_and_its_start_to_drag(browser):
    load(browser)
    go(browser, "#chapter=1")
    for hidden in ("deep-best", "task-deep", "learned-step"):
        assert not browser.find_element(By.ID, hidden).is_displayed()
    assert "deep" not in text(browser, "verdict").lower()
    element = press(browser, "shallow", Keys.ARROW_RIGHT, Keys.ARROW_UP)
    assert element.get_attribute("aria-valuetext").startswith("w = 0.20, loss 0.421")
    task = shown(browser)["task"]
    assert task["shallow"]["slopes"] == pytest.approx([0.2, 0.2 + 0.1 * (1.5 - 0.2)])
    # The plot's axis goes from 50 to 120 before the right edge, 2.2 weights to each side of 0.
    width = element.size["width"]
    at = 50 + (width - 170) * (1.5 + 2.2) / 4.4 - width / 2
    ActionChains(browser).move_to_element_with_offset(element, round(at), 0).click().perform()
    settle(browser)
    slopes = shown(browser)["task"]["shallow"]["slopes"]
    assert slopes == pytest.approx([1.5, 1.5], abs=0.02)
    assert browser.get_log("browser") == []


def test_a_finger_drags_the_shallow_start_and_scrolls_elsewhere(browser):
    load(browser, PHONE)
    go(browser, "#chapter=1")
    element = browser.find_element(By.ID, "shallow")

    def dragged(w, way):
        left, top, width = browser.execute_script(
            "arguments[0].scrollIntoView({block: 'center'});"
            "const b = arguments[0].getBoundingClientRect(); return [b.left, b.top, b.width]",
            element,
        )
        scale = (width - 170) / 4.4
        at = (left + 50 + scale * (w + 2.2), top + 60)
        swipe(browser, at, (scale * way[0], way[1]))
        return shown(browser)["task"]["shallow"]["slopes"][0]

    assert dragged(1.5, (0, -80)) == 0
    assert dragged(0, (1.2, 0)) == pytest.approx(1.2, abs=0.1)
    assert browser.get_log("browser") == []
