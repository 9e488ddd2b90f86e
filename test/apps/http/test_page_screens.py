"""Page on a phone and a tablet, of the ISM service, and behind a token."""

from __future__ import annotations

import pytest
from support.http_browser import READY, cell, done, overflow, run
from support.http_server import serving, settings_for

from sam6d_ros.apps.http.sample import NAME
from sam6d_ros.apps.http.settings import PEM

TOKEN = "a-token-of-enough-length"
PHONE = {"width": 390, "height": 844}
TABLET = {"width": 820, "height": 1180}


def test_a_phone_and_a_tablet_do_not_scroll_sideways(browsing, served):
    url = f"{served.urls['pem']}/"
    with browsing.page(url, viewport=PHONE, has_touch=True, is_mobile=True) as page:
        page.tap("#run")
        done(page)
        assert overflow(page) == 0
        page.set_viewport_size(TABLET)
        assert overflow(page) == 0
        page.set_viewport_size(PHONE)
        page.fill("#min-score", "7")
        page.tap("#run")
        page.wait_for_selector("#problem:has-text('min_score')")
        box = page.locator("#problem").bounding_box()
        assert 0 <= box["y"] < PHONE["height"]


def test_the_page_of_the_segmentation_service_shows_masks(browsing, served):
    with browsing.page(f"{served.urls['ism']}/") as page:
        assert page.inner_text("#title") == "Instance segmentation"
        run(page)
        assert cell(page, "Object", "#instances") == NAME
        assert page.is_hidden("#space")
        assert page.is_hidden("#poses-card")
        assert "api/v1/inference" in page.inner_text("#lines")


def test_the_token_is_asked_for_once(browsing, http_cache):
    settings = settings_for(http_cache, role=PEM, token=TOKEN)
    with serving(settings) as guarded, browsing.page(f"{guarded.urls['pem']}/", False) as page:
        page.fill("#token", "a-wrong-token-of-this-length")
        page.keyboard.press("Enter")
        page.wait_for_selector("dialog .problem:has-text('the token is wrong')")
        page.fill("#token", TOKEN)
        page.keyboard.press("Enter")
        page.wait_for_selector(READY)
        assert page.evaluate("document.cookie") == ""
        run(page)
        assert cell(page, "Object") == NAME
        assert "Authorization: Bearer $SAM6D_TOKEN" in page.inner_text("#lines")
        assert TOKEN not in page.content()
        page.reload()
        page.wait_for_selector(READY)
        assert page.locator("dialog").count() == 0


@pytest.mark.parametrize(
    ("address", "shown"), [("docs", ".opblock-summary-path"), ("redoc", "redoc h1")]
)
def test_the_pages_of_the_api_need_no_other_site(browsing, served, address, shown):
    """Every file comes from this server; the policy stops the logo that Redoc asks for."""
    with browsing.page(f"{served.urls['pem']}/{address}", ready=False) as page:
        asked = []
        page.on("response", lambda response: asked.append(response.url))
        page.reload()
        page.wait_for_selector(shown)
        assert "full" in page.inner_text("body")
        assert [
            url for url in asked if not url.startswith((served.urls["pem"], "data:", "blob:"))
        ] == []
