"""Who may ask: token, Host and Origin; and what is shown without a token."""

from __future__ import annotations

import time

import pytest
from support.http_server import serving, settings_for

from sam6d_ros.apps.http.auth import COOKIE, PASS_S, Gatekeeper, read_token
from sam6d_ros.errors import InvalidConfig

TOKEN = "a-token-of-enough-length"


@pytest.fixture(scope="module")
def guarded(http_cache):
    with serving(settings_for(http_cache, token=TOKEN)) as server:
        yield server


def test_nothing_but_health_is_answered_without_the_token(guarded):
    assert guarded.pem.get("/health").status_code == 200
    for path in ("/api/v1/status", "/metrics", "/test/sample", "/docs", "/openapi.json"):
        answer = guarded.pem.get(path)
        assert answer.status_code == 401, path
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_the_token_opens_all(guarded):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert guarded.pem.get("/api/v1/status", headers=headers).status_code == 200
    assert TOKEN not in guarded.pem.get("/api/v1/status", headers=headers).text
    for wrong in ("none", "x" * 24, TOKEN + "x"):
        headers = {"Authorization": f"Bearer {wrong}"}
        assert guarded.pem.get("/api/v1/status", headers=headers).status_code == 401


def test_a_browser_gets_a_cookie_that_scripts_cannot_read(guarded):
    assert guarded.pem.post("/login", data={"token": "wrong"}).status_code == 401
    answer = guarded.pem.post("/login", data={"token": TOKEN})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKEN not in cookie
    assert guarded.pem.get("/api/v1/status").status_code == 200
    guarded.pem.cookies.clear()


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8003", "127.0.0.1.evil.example"])
def test_a_foreign_host_name_is_refused(served, host):
    """DNS rebinding: a name of the attacker that leads to this machine."""
    answer = served.pem.get("/api/v1/status", headers={"Host": host})
    assert answer.status_code == 403


def test_a_page_elsewhere_cannot_post(served, sample):
    answer = served.pem.post(
        "/api/v1/full_pipeline", json=sample, headers={"Origin": "https://evil.example"}
    )
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("content", "mode", "word"),
    [("short", 0o600, "16"), (TOKEN, 0o644, "chmod"), ("two words here it is", 0o600, "spaces")],
)
def test_a_token_file_is_checked(tmp_path, content, mode, word):
    path = tmp_path / "token"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(InvalidConfig, match=word):
        read_token(path)


def test_a_token_file_may_end_with_a_line_break(tmp_path):
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    path.chmod(0o600)
    assert read_token(path) == TOKEN


def test_a_pass_is_valid_for_its_token_and_its_time(monkeypatch):
    keeper = Gatekeeper(TOKEN, "0.0.0.0")
    given = keeper.new_pass()
    headers = {"cookie": f"{COOKIE}={given}"}
    assert keeper.admits(headers)
    assert Gatekeeper(TOKEN, "127.0.0.1").admits(headers)  # after a restart, and of both services
    assert not Gatekeeper("x" + TOKEN, "0.0.0.0").admits(headers)
    expiry, number, signature = given.split(".")
    for forged in (
        f"{int(expiry) + 1}.{number}.{signature}",
        f"{expiry}.{number}.",
        TOKEN,
        "",
        "..",
    ):
        assert not keeper.admits({"cookie": f"{COOKIE}={forged}"})
    now = time.time()
    monkeypatch.setattr("sam6d_ros.apps.http.auth.time.time", lambda: now + PASS_S + 1)
    assert not keeper.admits(headers)


def test_headers_that_cannot_be_parsed_are_no_token():
    keeper = Gatekeeper(TOKEN, "0.0.0.0")
    assert not keeper.admits({"cookie": "\x00;;=;"})
    assert not keeper.admits({"authorization": "Basic eDp5"})
    assert not keeper.admits({"authorization": f"Bearer {TOKEN}é"})
