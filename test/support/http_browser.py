"""Headless Chromium for tests of the pages; errors in its console are collected."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import pytest
from support.packages import skip_without

ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-unsafe-swiftshader",  # WebGL without a GPU
]
# Answers with status 4xx, which tests expect; and hints of WebGL that a screenshot causes.
EXPECTED = ("Failed to load resource", "GL Driver Message (OpenGL, Performance", "cdn.redoc.ly")
TIMEOUT_MS = 30_000
READY = "body[data-ready=yes]"


@dataclass
class Browsing:
    """Chromium with a page for each test.

    Attributes:
        problems: errors of scripts and of the console, but for answers with an error status.
    """

    browser: Any
    problems: list[str] = field(default_factory=list)

    @contextmanager
    def page(self, url: str, ready: bool = True, **options: Any) -> Iterator[Any]:
        """Open a page; fail if it reports an error.

        Args:
            ready: wait until its script has started.
            options: of the browser context.
        """
        self.problems.clear()
        with self.browser.new_context(**options) as context:
            context.set_default_timeout(TIMEOUT_MS)
            page = context.new_page()
            page.on("pageerror", lambda error: self.problems.append(str(error)))
            page.on("console", self._note)
            page.goto(url)
            if ready:
                page.wait_for_selector(READY)
            yield page
        assert not self.problems, self.problems

    def _note(self, message: Any) -> None:
        known = any(text in message.text for text in EXPECTED)
        if message.type in ("error", "warning") and not known:
            self.problems.append(message.text)


@contextmanager
def chromium() -> Iterator[Browsing]:
    """Run the browser; skip by name where it is missing."""
    found = shutil.which("chromium")
    skip_without(found, "chromium")
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="missing: pip install -e '.[http-test]'"
    )
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        try:
            yield Browsing(browser)
        finally:
            browser.close()


def pixels(png: bytes) -> np.ndarray:
    """Return a screenshot as (H, W, 3) uint8 BGR."""
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)


def overflow(page: Any) -> int:
    """Return by how many pixels a page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


def run(page):
    """Click Run on the page of poses, and wait for the answer."""
    page.click("#run")
    done(page)


def done(page):
    """Wait for the answer."""
    page.wait_for_selector("#answer[data-request]")
    page.wait_for_selector("#run:enabled")


def cell(page, label, table="#poses"):
    return page.inner_text(f"{table} td[data-label^='{label}']")
