"""RTSP server with synthetic pictures; runs under the distribution's Python, not in the venv.

    /usr/bin/python3 test/rtsp_camera.py [--port N] [--user U --password P] [--fps N]

Needs the packages of ``scripts/debian_packages.txt``. Prints ``port N`` when it serves /cam, and
``client`` for each connection. A strip of 24 black and white blocks at the top of each picture
holds the time of its making: milliseconds of CLOCK_MONOTONIC, highest bit first (see ``rtsp.py``).
Below is a plain colour, or the file of ``--background`` (RGB bytes of one picture), which scrolls.
"""

import argparse
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

BITS = 24
COLORS = ((200, 40, 40), (40, 200, 40), (40, 40, 200))  # below the strip, one each second
LAUNCH = (
    "( appsrc name=src is-live=true format=time do-timestamp=true "
    "caps=video/x-raw,format=RGB,width={w},height={h},framerate={fps}/1 ! videoconvert ! "
    "video/x-raw,format=I420 ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max={fps} ! "
    "rtph264pay name=pay0 pt=96 )"
)


def picture(width, height, background):
    """Return one picture with the present time."""
    now_ms = int(time.monotonic() * 1000)
    block = width // BITS
    row = b"".join(
        bytes([255 * (now_ms >> bit & 1)] * 3) * block for bit in range(BITS - 1, -1, -1)
    )
    row += bytes(3 * (width - block * BITS))
    size = 3 * width * (height - block)
    if background:
        start = now_ms // 10 % height * 3 * width  # 100 rows per second
        return row * block + (background + background)[start : start + size]
    color = bytes(COLORS[now_ms // 1000 % 3])
    return row * block + color * (size // 3)


def feed(media, args):
    source = media.get_element().get_child_by_name("src")
    background = b""
    if args.background:
        with open(args.background, "rb") as file:
            background = file.read()

    def push():
        data = Gst.Buffer.new_wrapped(picture(args.width, args.height, background))
        return source.emit("push-buffer", data) == Gst.FlowReturn.OK

    GLib.timeout_add(1000 // args.fps, push)


def protect(server, factory, args):
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "watcher")
    auth = GstRtspServer.RTSPAuth()
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(args.user, args.password), token)
    server.set_auth(auth)
    rights = Gst.Structure.new_empty("watcher")
    rights.set_value("media.factory.access", True)
    rights.set_value("media.factory.construct", True)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_role_from_structure(rights)
    factory.set_permissions(permissions)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", default="0")
    parser.add_argument("--user", default="")
    parser.add_argument("--password", default="")
    parser.add_argument("--width", type=int, default=480)
    parser.add_argument("--height", type=int, default=360)
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--background", default="")
    args = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer.new()
    server.set_address("127.0.0.1")
    server.set_service(args.port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(LAUNCH.format(w=args.width, h=args.height, fps=args.fps))
    factory.set_shared(True)
    factory.connect("media-configure", lambda _, media: feed(media, args))
    if args.password:
        protect(server, factory, args)
    server.get_mount_points().add_factory("/cam", factory)
    server.connect("client-connected", lambda *_: print("client", flush=True))
    if not server.attach(None):
        raise SystemExit(f"port {args.port} cannot be opened")
    print("port", server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


main()
