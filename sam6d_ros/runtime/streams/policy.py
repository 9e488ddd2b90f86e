"""Rules on video sources that clients may name: hosts, files, devices."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sam6d_ros.errors import InvalidConfig, InvalidInput, NotAllowed
from sam6d_ros.runtime.streams.address import WITH_DEPTH, Address, Kind

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PRIVATE = "private"
# RFC 1918 and RFC 4193; neither loopback nor link-local addresses, where clouds keep secrets.
PRIVATE_NETWORKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return networks of texts: ``192.168.1.0/24``, one address, or ``private``.

    Args:
        texts: networks as options give them.

    Raises:
        InvalidConfig: a text is none of these.
    """
    found: list[Network] = []
    for text in texts:
        try:
            parts = PRIVATE_NETWORKS if text == PRIVATE else (text,)
            found += [ipaddress.ip_network(part) for part in parts]
        except ValueError as error:
            raise InvalidConfig(
                f"network {text!r:.60} is unusable ({error}); expected one such as 192.168.1.0/24, "
                f"or {PRIVATE!r}"
            ) from error
    return tuple(found)


@dataclass(frozen=True)
class SourcePolicy:
    """Sources that may be opened; public hosts always may.

    Attributes:
        networks: further networks whose hosts may be opened: private ones, loopback.
        roots: folders whose files and frame folders may be opened.
        devices: whether cameras of this machine (/dev/videoN) may be opened.
    """

    networks: tuple[Network, ...] = ()
    roots: tuple[Path, ...] = ()
    devices: bool = False

    @classmethod
    def local(cls) -> SourcePolicy:
        """Return the policy for addresses that the user of this machine gives."""
        return cls(parse_networks(["0.0.0.0/0", "::/0"]), (Path("/"),), True)

    def check(self, address: Address) -> None:
        """Check what can be checked without the network.

        Args:
            address: of the source.

        Raises:
            NotAllowed: the source may not be opened.
            InvalidInput: the file or folder does not exist.
        """
        if address.kind is Kind.DEVICE and not self.devices:
            raise NotAllowed(
                f"{address} is a camera of the server; start it with --allow-devices to open it"
            )
        if address.kind in (Kind.FILE, *WITH_DEPTH):
            self.local_path(address)
        elif address.kind is Kind.NETWORK:
            try:
                literal = ipaddress.ip_address(address.host)
            except ValueError:
                return
            self._check_ip(literal, address)

    def local_path(self, address: Address) -> Path:
        """Return the resolved path of a file or folder below a root.

        Args:
            address: of the source.

        Raises:
            NotAllowed: it lies outside; whether it exists is not revealed.
            InvalidInput: it does not exist, or is of another kind.
        """
        try:
            path = Path(address.path).resolve()
        except (OSError, RuntimeError) as error:  # a loop of links
            raise InvalidInput(f"{str(address)!r} cannot be resolved") from error
        if not any(path.is_relative_to(root.resolve()) for root in self.roots):
            raise NotAllowed(
                f"{str(address)!r} is outside the folders that this server opens to clients; start "
                "it with --allow-root FOLDER"
            )
        fits, expected = {
            Kind.FRAMES: (path.is_dir(), "a folder in BOP format"),
            Kind.BAG: (path.exists(), "a ROS 2 bag"),
        }.get(address.kind, (path.is_file(), "a video file"))
        if not fits:
            raise InvalidInput(f"{str(address)!r} does not exist or is not {expected}")
        return path

    def resolve(self, address: Address) -> tuple[str, ...]:
        """Look up the IP addresses of a host, in the order to try them.

        Connect to these and not to the name: a second look-up may give another address.

        Args:
            address: of the source.

        Returns:
            The addresses.

        Raises:
            NotAllowed: the host has an address that may not be opened.
            InvalidInput: the name is unknown.
        """
        try:
            found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise InvalidInput(
                f"the host {address.host!r} is unknown ({reason}); check the name, or give the IP "
                "address of the camera"
            ) from error
        hosts = [str(item[4][0]) for item in found]
        for host in hosts:  # all of them: a name with one foreign address is refused
            self._check_ip(ipaddress.ip_address(host.partition("%")[0]), address)
        return tuple(dict.fromkeys(hosts))

    def _check_ip(self, ip: IpAddress, address: Address) -> None:
        for one in _meant(ip):
            if any(one in network for network in self.networks):
                continue
            if not one.is_global or one.is_multicast or one.is_reserved:
                raise NotAllowed(
                    f"{address} is at {one}, which is not a public address; start the server with "
                    f"--allow-network {one}, or with a network such as {_around(one)}"
                )


def _meant(ip: IpAddress) -> list[IpAddress]:
    """Return an address with the IPv4 addresses that it carries as one of a transition scheme."""
    if isinstance(ip, ipaddress.IPv4Address):
        return [ip]
    if ip.ipv4_mapped is not None:
        return [ip.ipv4_mapped]
    inner: list[IpAddress | None] = [ip, ip.sixtofour, *(ip.teredo or ())]
    if ip in NAT64:
        inner.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    return [one for one in inner if one is not None]


def _around(ip: IpAddress) -> Network:
    return ipaddress.ip_network((ip, 24 if ip.version == 4 else 64), strict=False)
