"""Meta-training played in the explorer: it runs, it stops, and it holds still where asked."""

from __future__ import annotations

import pytest
from chromium import DESKTOP, PHONE, changed, load, pictures, press, settle, shown
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = pytest.mark.browser
MOVING = {"map", "training", "shallow"}


def updates(browser):
    return int(browser.find_element(By.ID, "updates").get_property("value"))


def says(browser):
    return browser.find_element(By.ID, "play").text


def wait(browser, met):
    WebDriverWait(browser, 20, poll_frequency=0.02).until(met)


@pytest.fixture
def prefer(browser):
    """Say what the system prefers of motion; afterwards, that it prefers nothing."""

    def tell(value):
        features = [{"name": "prefers-reduced-motion", "value": value}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        settle(browser)

    yield tell
    tell("no-preference")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_meta_training_plays_from_its_start_and_stops_when_told(browser, size):
    load(browser, size)
    before = pictures(browser)
    assert says(browser) == "Play"
    press(browser, "play", Keys.ENTER)
    wait(browser, lambda b: 100 <= updates(b) < 1000)
    assert says(browser) == "Pause"
    press(browser, "play", Keys.ENTER)
    wait(browser, lambda b: says(b) == "Play")  # a busy machine is late to hear of a key
    stopped = updates(browser)
    assert 100 <= stopped < 1000
    # The shallow start may have arrived by then, where the machine is busy.
    assert {"map", "training"} <= changed(before, pictures(browser)) <= MOVING
    task = shown(browser)["task"]
    for _ in range(3):
        settle(browser)
    assert updates(browser) == stopped
    press(browser, "play", Keys.ENTER)  # goes on from there
    wait(browser, lambda b: updates(b) > stopped)
    press(browser, "updates", Keys.END)  # a hand on the slider stops it, too
    assert (updates(browser), says(browser)) == (1000, "Play")
    assert changed(before, pictures(browser)) == set()
    end = shown(browser)["task"]
    press(browser, "updates", Keys.HOME)
    assert changed(before, pictures(browser)) == MOVING
    assert task["deep"]["slopes"] != end["deep"]["slopes"]


def test_it_ends_by_itself(browser):
    load(browser)
    press(browser, "updates", *[Keys.ARROW_LEFT] * 3)
    press(browser, "play", Keys.ENTER)
    wait(browser, lambda b: updates(b) == 1000 and says(b) == "Play")


def test_nothing_moves_by_itself_where_motion_is_not_wanted(browser, prefer):
    prefer("reduce")
    load(browser)
    assert says(browser) == "Next 100 updates"
    for wanted in (0, 100, 200):
        press(browser, "play", Keys.ENTER)
        assert updates(browser) == wanted
    before = pictures(browser)
    for _ in range(5):
        settle(browser)
    assert updates(browser) == 200
    assert changed(before, pictures(browser)) == set()
