"""Addresses of video sources: parsing, rules, and no credentials in anything that is shown."""

from __future__ import annotations

import ipaddress
import string
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sam6d_ros.errors import InvalidConfig, InvalidInput, NotAllowed
from sam6d_ros.runtime.streams import SourcePolicy, parse_address, parse_networks, redacted
from sam6d_ros.runtime.streams.address import Kind

PUBLIC = SourcePolicy()
TEXT = st.text(max_size=40) | st.text(string.printable, max_size=40)
URLS = st.builds(
    lambda scheme, text: f"{scheme}{text}",
    st.sampled_from(
        ["rtsp://", "http://", "rtsp:", "//", "frames:", "file://", "/", "RTSP://u:p@"]
    ),
    TEXT,
)


@pytest.mark.parametrize(
    ("text", "shown", "opened"),
    [
        ("rtsp://cam/1", "rtsp://cam:554/1", "rtsp://cam:554/1"),
        ("rtsp://u:p%40w@cam/1", "rtsp://***@cam:554/1", "rtsp://u:p%40w@cam:554/1"),
        ("RTSP://u@Cam:8554", "rtsp://***@cam:8554/", "rtsp://u@cam:8554/"),
        ("http://[fe80::1]:81/v?a=b c", "http://[fe80::1]:81/v?a=***", "…"),
        (
            "rtsp://u:p@h/cam?channel=1&subtype=0",
            "rtsp://***@h:554/cam?channel=1&subtype=0",
            "rtsp://u:p@h:554/cam?channel=1&subtype=0",
        ),
        ("http://h/video?user=bob&pwd=geheim", "http://h:80/video?user=***&pwd=***", "…"),
        ("rtsp://h/user=bob_password=geheim_channel=1.sdp", "rtsp://h:554/***", "…"),
    ],
)
def test_urls_are_shown_without_credentials(text, shown, opened):
    address = parse_address(text)
    assert str(address) == shown
    assert "geheim" not in repr(address)
    if opened != "…":
        assert address.url(address.host) == opened


@pytest.mark.parametrize(
    ("text", "kind"),
    [("/dev/video0", Kind.DEVICE), ("/data/a.mp4", Kind.FILE), ("frames:/data", Kind.FRAMES)],
)
def test_local_sources_are_known(text, kind):
    assert parse_address(text).kind is kind
    assert str(parse_address(text)) == text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "0 characters"),
        (" rtsp://h/", "without spaces"),
        ("rtsp://h/a\r\nX: y", "unprintable"),
        ("rtsp://h/" + "a" * 3000, "2048"),
        ("file:///etc/passwd", "plain path"),
        ("concat:/a|/b", "scheme 'concat'"),
        ("pipe:0", "scheme 'pipe'"),
        ("//host/share", "no address"),
        ("video.mp4", "no address"),
        ("rtsp://", "host"),
        ("rtsp://h:99999/", "host or port"),
        ("rtsp://user:geheim/w@h/", "%2F"),
        ("rtsp://h/a@b", "'@' behind the host"),
        ("rtsp://***@h/", "are hidden"),
    ],
)
def test_wrong_addresses_are_refused_with_the_remedy(text, wanted):
    with pytest.raises(InvalidInput) as caught:
        parse_address(text)
    assert wanted in str(caught.value)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0",
        "localhost",
        "10.0.0.1",
        "192.168.1.2",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fd00::1]",
    ],
)
def test_addresses_that_are_not_public_need_an_option(host):
    address = parse_address(f"rtsp://{host}/cam")
    with pytest.raises(NotAllowed, match="--allow-network"):
        PUBLIC.resolve(address)


def test_networks_open_what_they_name():
    policy = SourcePolicy(parse_networks(["private", "127.0.0.1"]))
    assert policy.resolve(parse_address("rtsp://10.1.2.3/")) == ("10.1.2.3",)
    assert policy.resolve(parse_address("rtsp://[::ffff:10.1.2.3]/")) == ("::ffff:10.1.2.3",)
    assert policy.resolve(parse_address("rtsp://127.1/")) == ("127.0.0.1",)
    for host in ("127.0.0.2", "169.254.169.254", "[::1]"):
        with pytest.raises(NotAllowed):
            policy.resolve(parse_address(f"rtsp://{host}/"))
    with pytest.raises(InvalidConfig, match=r"192\.168\.1\.0/24"):
        parse_networks(["192.168.1"])


def test_unknown_host_is_named():
    with pytest.raises(InvalidInput, match=r"'no-such-host\.invalid' is unknown"):
        PUBLIC.resolve(parse_address("rtsp://no-such-host.invalid/"))


def test_files_are_opened_below_a_root_only(tmp_path: Path):
    root, other = tmp_path / "root", tmp_path / "other"
    root.mkdir()
    other.mkdir()
    (other / "a.mp4").touch()
    (root / "link.mp4").symlink_to(other / "a.mp4")
    (root / "a.mp4").touch()
    policy = SourcePolicy(roots=(root,))
    assert policy.local_path(parse_address(f"{root}/a.mp4")) == root / "a.mp4"
    for path in (f"{other}/a.mp4", f"{root}/../other/a.mp4", f"{root}/link.mp4", "/etc/passwd"):
        with pytest.raises(NotAllowed, match="--allow-root"):
            policy.check(parse_address(path))
    for path in (f"{root}/none.mp4", str(root), f"frames:{root}/a.mp4"):
        with pytest.raises(InvalidInput, match="is not a"):
            policy.check(parse_address(path))
    with pytest.raises(NotAllowed, match="--allow-devices"):
        policy.check(parse_address("/dev/video0"))


@settings(deadline=None)
@given(URLS | TEXT)
@example("rtsp://a:b@c:d@e/")
@example("rtsp://[::1/")
@example("http://\u2100/")
@example("rtsp://h\\@evil/")
def test_any_text_is_taken_or_refused_by_name(text):
    redacted(text)
    try:
        address = parse_address(text)
        PUBLIC.check(address)
    except InvalidInput:
        return
    assert address.kind is Kind.NETWORK
    url = urlsplit(address.url("192.0.2.7"))
    assert url.hostname == "192.0.2.7"  # credentials and path cannot change the host
    assert url.port == address.port
    assert address.url("192.0.2.7").isascii()


def shown_of(text: str) -> str:
    """Return all that is shown of an address: itself, or the error."""
    try:
        address = parse_address(text)
        PUBLIC.check(address)
    except InvalidInput as error:
        return str(error)
    return str(address) + repr(address)


def test_a_url_without_its_scheme_is_no_path_that_is_shown():
    assert str(parse_address("/data/u:geheim@cam/1")) == "/data/***@cam/1"
    assert str(parse_address("/data/left@noon.mp4")) == "/data/left@noon.mp4"


SECRET = st.text(string.ascii_letters + string.digits, min_size=6).map(lambda s: f"Q{s}Z")


@settings(deadline=None)
@given(URLS, SECRET, TEXT, TEXT, st.sampled_from(["rtsp://", "http://", ""]))
def test_a_password_is_never_shown(url, secret, before, after, scheme):
    text = f"{scheme}{before}:{secret}@{after.replace('@', '')}{url.rpartition('@')[2][:3]}"
    assert secret not in redacted(text)
    assert secret not in shown_of(text)


@settings(deadline=None)
@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
def test_only_public_addresses_pass(ip):
    host = f"[{ip}]" if ip.version == 6 else str(ip)
    try:
        (found,) = PUBLIC.resolve(parse_address(f"rtsp://{host}/"))
    except InvalidInput:
        return
    assert ipaddress.ip_address(found).is_global
