"""Messages between agent, zygotes and shims: length-prefixed JSON with descriptors, over a UNIX stream socket.

A frame is four bytes of length (big endian), then JSON with the member "fds": how many descriptors belong to it. They
travel as SCM_RIGHTS with the frame's first bytes. A stream rather than SEQPACKET, whose messages end at the socket's
buffer size.
"""

import array
import contextlib
import json
import os
import socket
import struct
from collections.abc import Mapping, Sequence
from typing import Any

#: A frame beyond this is an error of the sender (a container's configuration has a few kilobytes).
FRAME_BYTES_MAX = 64 << 20
#: SCM_MAX_FD of the kernel is 253; nobody here sends more than a handful.
DESCRIPTORS_MAX = 16

Message = dict[str, Any]


def encode(message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> bytes:
    """Return the frame of a message."""
    body = json.dumps({**message, "fds": len(descriptors)}).encode()
    return struct.pack(">I", len(body)) + body


def rights(descriptors: Sequence[int]) -> list[tuple[int, int, Any]]:
    """Return the ancillary data that carries the descriptors."""
    if not descriptors:
        return []
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]


class Decoder:
    """Turns what was received into messages, each with the descriptors that came with it."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._descriptors: list[int] = []

    def feed(self, data: bytes, ancillary: Sequence[tuple[int, int, bytes]] = ()) -> None:
        """Add one recvmsg's data."""
        self._data += data
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                received = array.array("i")
                received.frombytes(content[: len(content) - len(content) % received.itemsize])
                self._descriptors += received

    def next(self) -> tuple[Message, list[int]] | None:
        """Return the next whole message and its descriptors, or None. Raises ValueError when the stream is not ours."""
        if len(self._data) < 4:
            return None
        (length,) = struct.unpack_from(">I", self._data)
        if length > FRAME_BYTES_MAX:
            raise ValueError(f"a frame of {length} bytes")
        if len(self._data) < 4 + length:
            return None
        message: Message = json.loads(self._data[4 : 4 + length])
        del self._data[: 4 + length]
        count = message.pop("fds", 0)
        descriptors, self._descriptors = self._descriptors[:count], self._descriptors[count:]
        return message, descriptors

    def close(self) -> None:
        """Close descriptors that no message claimed."""
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()


class Connection:
    """A blocking end, for zygotes and shims."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._decoder = Decoder()

    def fileno(self) -> int:
        """Return the descriptor, for selectors."""
        return self.socket.fileno()

    def send(self, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Send a message; a peer that is gone is its own problem."""
        data = encode(message, descriptors)
        try:
            sent = self.socket.sendmsg([data], rights(descriptors))
            while sent < len(data):
                sent += self.socket.send(data[sent:])
        except OSError:
            return

    def receive(self) -> bool:
        """Read once; returns whether the peer is still there."""
        try:
            data, ancillary, _, _ = self.socket.recvmsg(
                65536, socket.CMSG_SPACE(DESCRIPTORS_MAX * 4), socket.MSG_CMSG_CLOEXEC
            )
        except InterruptedError:
            return True
        except OSError:
            return False
        self._decoder.feed(data, ancillary)
        return bool(data)

    def next(self) -> tuple[Message, list[int]] | None:
        """Return the next whole message, or None."""
        return self._decoder.next()

    def close(self) -> None:
        """Close the socket and stray descriptors."""
        self._decoder.close()
        self.socket.close()


def short_path(directory: int, name: str) -> str:
    """Return a path for a UNIX socket in an open directory: the address may not be longer than 107 bytes."""
    return f"/proc/self/fd/{directory}/{name}"


def listen_in(directory: str, name: str, backlog: int = 64) -> socket.socket:
    """Return a listening socket at `directory/name`, replacing what was there."""
    handle = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    try:
        path = short_path(handle, name)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        listener.listen(backlog)
        return listener
    finally:
        os.close(handle)


def connect_in(directory: str, name: str) -> socket.socket:
    """Return a connection to `directory/name`. Raises OSError."""
    handle = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(short_path(handle, name))
    except OSError:
        sock.close()
        raise
    finally:
        os.close(handle)
    return sock
