"""A headless Chromium, and what tests do with a page in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

CANVASES = ("relief", "map", "training", "shallow")
DESKTOP, PHONE = (1280, 900), (375, 812)

REQUIRE = "TOYLIN_REQUIRE_BROWSER"
MISSING = (
    "Chromium or chromedriver is missing (Debian: apt-get install chromium chromium-driver; "
    f"{REQUIRE}=1 makes this a failure)"
)
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--window-size=1280,900"),
)


def _installed() -> tuple[str, str] | None:
    """Paths of Chromium and of its driver, if both are installed."""
    browsers = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")]
    browser = next((path for path in browsers if path), None)
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


@contextmanager
def open_browser(profile: Path) -> Iterator[webdriver.Chrome]:
    """A browser with a profile of its own; the test is skipped, or fails, where there is none."""
    found = _installed()
    if found is None:
        (pytest.fail if os.environ.get(REQUIRE) == "1" else pytest.skip)(MISSING)
    options = webdriver.ChromeOptions()
    options.binary_location, driver = found
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield browser
    finally:
        browser.quit()


def load(browser, size=DESKTOP):
    """The page at a size; what the browser logs counts from here, not what earlier pages left."""
    browser.get_log("browser")
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


def swipe(browser, start, way):
    """A finger from a point of the window along a way, both in pixels."""

    def touch(kind, *points):
        event = {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]}
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", event)

    (x, y), (dx, dy) = start, way
    touch("touchStart", (x, y))
    for share in (0.3, 0.6, 1):
        touch("touchMove", (x + share * dx, y + share * dy))
    touch("touchEnd")
    settle(browser)


def call(browser, name, *arguments):
    """A function of the page."""
    return browser.execute_script(f"return window.toylin.{name}(...arguments)", *arguments)


def shown(browser):
    """What the page says it shows."""
    return call(browser, "shown")


def text(browser, identity):
    return browser.find_element(By.ID, identity).text


def go(browser, hash_):
    """Follow a link to a setting or a chapter."""
    browser.execute_script("location.hash = arguments[0]", hash_)
    settle(browser)
    settle(browser)


def fragment(browser):
    """What the address says once it is written."""
    browser.execute_async_script("setTimeout(arguments[0], 300)")
    return browser.execute_script("return location.hash")
