"""The explorer's third chapter: the share of the way that the step goes."""

from __future__ import annotations

import pytest
from chromium import go, load, press, shown, text
from selenium.webdriver.common.keys import Keys

ALPHA = "\N{GREEK SMALL LETTER ALPHA}"
pytestmark = pytest.mark.browser


def test_the_third_chapter_says_how_far_the_step_goes(browser):
    load(browser)
    go(browser, "#chapter=3")
    assert text(browser, "deep-share") == f"w₂ = 2.00, {ALPHA} w₂² = 0.40"
    task = shown(browser)["task"]
    assert task["deep"]["losses"] == pytest.approx([1.125, 0.405])
    extent = shown(browser)["extent"]
    press(browser, "alpha", Keys.END)
    assert text(browser, "deep-share") == f"w₂ = 2.00, {ALPHA} w₂² = 16.00"
    assert shown(browser)["extent"] == extent  # the stars move, not the scale
    go(browser, "#chapter=3&updates=1000")
    assert text(browser, "deep-share") == f"w₂ = 3.16, {ALPHA} w₂² = 1.00"
    go(browser, "#chapter=3&depth=3&alpha=0.25")
    assert text(browser, "deep-share") == f"u = 2.00, {ALPHA} u⁴ = 4.00"


@pytest.mark.parametrize(
    ("setting", "stated"),
    [
        ("start=3,0.2", f"w = (3.00, 0.20), {ALPHA} |w|² = "),
        ("start=0.5,1.2&depth=3", "about "),
    ],
)
def test_off_the_axis_the_share_is_that_of_all_weights(browser, setting, stated):
    """To first order in the step: by the line of a step that is a thousandth."""
    load(browser)
    go(browser, f"#chapter=3&theta=1&alpha=0.1&{setting}")
    words = text(browser, "deep-share")
    assert words.startswith(stated)
    share = float(words.removeprefix(stated).split()[0])
    settings = {**shown(browser)["settings"], "stepSize": 0.01}
    slopes = shown(browser)["task"]["deep"]["slopes"]
    go(browser, f"#chapter=3&theta=1&alpha=0.01&{setting}")
    small = shown(browser)["task"]["deep"]["slopes"]
    assert settings["stepSize"] == shown(browser)["settings"]["stepSize"]
    assert small[0] == slopes[0]
    gone = (small[1] - small[0]) / (1 - small[0])
    assert share == pytest.approx(10 * gone, rel=0.05)
