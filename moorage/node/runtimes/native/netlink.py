"""Just enough rtnetlink for pods: veth pairs, addresses, routes. A socket acts in the namespace it was made in."""

import errno
import os
import socket
import struct

_ERROR = 2
_REQUEST, _ACK, _REPLACE, _EXCLUSIVE, _CREATE = 1, 4, 0x100, 0x200, 0x400
_NEWLINK, _DELLINK, _GETLINK, _NEWADDR, _NEWROUTE = 16, 17, 18, 20, 24
_IFNAME, _LINKINFO, _NET_NS_PID = 3, 18, 19
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_UP = 1
_MAIN_TABLE, _BOOT, _UNIVERSE, _LINK, _UNICAST, _ONLINK = 254, 3, 0, 253, 1, 4
LOOPBACK = 1


def _attribute(kind: int, data: bytes) -> bytes:
    length = 4 + len(data)
    return struct.pack("HH", length, kind) + data + b"\0" * (-length % 4)


def _named(name: str) -> bytes:
    return _attribute(_IFNAME, name.encode() + b"\0")


def _link(index: int = 0, *, up: bool = False) -> bytes:
    return struct.pack("BxHiII", 0, 0, index, _UP if up else 0, _UP if up else 0)


class Netlink:
    """A route netlink socket of the network namespace in which it was opened; it keeps that namespace alive."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._sequence = 0

    def close(self) -> None:
        """Let go of the namespace."""
        self._socket.close()

    def add_veth(self, name: str, peer: str, pid: int) -> None:
        """Make a pair: `name` here and up, `peer` in the network namespace of process `pid`."""
        inside = _link() + _named(peer) + _attribute(_NET_NS_PID, struct.pack("I", pid))
        data = _attribute(_INFO_KIND, b"veth") + _attribute(_INFO_DATA, _attribute(_VETH_PEER, inside))
        self._ask(_NEWLINK, _CREATE | _EXCLUSIVE, _link(up=True) + _named(name) + _attribute(_LINKINFO, data))

    def remove_link(self, name: str) -> None:
        """Remove a link; one that is gone is fine."""
        self._ask(_DELLINK, 0, _link() + _named(name), tolerated=errno.ENODEV)

    def index_of(self, name: str) -> int:
        """Return the link's index. Raises OSError(ENODEV)."""
        answer = self._ask(_GETLINK, 0, _link() + _named(name))
        return int(struct.unpack_from("i", answer, 4)[0])

    def set_up(self, index: int) -> None:
        """Bring a link up."""
        self._ask(_NEWLINK, 0, _link(index, up=True))

    def add_address(self, index: int, address: str, prefix: int = 32) -> None:
        """Give the link an IPv4 address."""
        packed = socket.inet_aton(address)
        body = struct.pack("BBBBi", socket.AF_INET, prefix, 0, 0, index) + _attribute(2, packed) + _attribute(1, packed)
        self._ask(_NEWADDR, _CREATE | _EXCLUSIVE, body, tolerated=errno.EEXIST)

    def add_device_route(self, index: int, address: str) -> None:
        """Send what is for this one address straight to the link."""
        self._route(socket.inet_aton(address), 32, _LINK, 0, index)

    def add_gateway_route(self, index: int, gateway: str, network: str = "", prefix: int = 0) -> None:
        """Send what is for the network ("" for everything) to a gateway that is taken to be on this link."""
        self._route(socket.inet_aton(network) if network else b"", prefix, _UNIVERSE, _ONLINK, index, gateway)

    def _route(self, network: bytes, prefix: int, scope: int, flags: int, index: int, gateway: str = "") -> None:
        body = struct.pack(
            "BBBBBBBBI", socket.AF_INET, prefix, 0, 0, _MAIN_TABLE, _BOOT, scope, _UNICAST, flags
        ) + _attribute(4, struct.pack("i", index))
        if network:
            body += _attribute(1, network)
        if gateway:
            body += _attribute(5, socket.inet_aton(gateway))
        self._ask(_NEWROUTE, _CREATE | _REPLACE, body)  # a former link of this address may still be on its way out

    def _ask(self, kind: int, flags: int, body: bytes, tolerated: int = 0) -> bytes:
        self._sequence += 1
        self._socket.send(struct.pack("IHHII", 16 + len(body), kind, _REQUEST | _ACK | flags, self._sequence, 0) + body)
        answer = b""
        while True:
            data = self._socket.recv(65536)
            while data:
                length, got, _, sequence, _ = struct.unpack_from("IHHII", data)
                if sequence == self._sequence:
                    if got == _ERROR:
                        number = -struct.unpack_from("i", data, 16)[0]
                        if number and number != tolerated:
                            raise OSError(number, os.strerror(number), f"netlink request {kind}")
                        return answer
                    answer = data[16:length]
                data = data[(length + 3) & ~3 :]
