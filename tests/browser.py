"""A headless Chromium for the tests that need one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

REQUIRE = "TOYLIN_REQUIRE_BROWSER"
MISSING = f"Chromium or chromedriver is missing (Debian: apt-get install chromium chromium-driver; {REQUIRE}=1 makes this a failure)"  # fmt: skip
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--window-size=1280,900"),
)


def chromium() -> tuple[str, str] | None:
    """Paths of Chromium and of its driver, if both are installed."""
    browsers = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")]
    browser = next((path for path in browsers if path), None)
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


@contextmanager
def open_browser(profile: Path) -> Iterator[webdriver.Chrome]:
    """A browser with a profile of its own; the test is skipped, or fails, where there is none."""
    found = chromium()
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
