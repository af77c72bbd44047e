"""Commands beside a container and attached containers, as aio.process.Process."""

import asyncio
import fcntl
import os
import struct
import termios
from collections.abc import Callable, Sequence

from moorage.node.runtimes.native.channel import Channel


class NativeProcess:
    """A running command. The descriptors are the caller's, who closes each of them; a terminal is given twice."""

    def __init__(
        self, streams: Sequence[int], ended: "asyncio.Future[int]", kill: Callable[[], None], *, tty: bool
    ) -> None:
        self.stdin, self.stdout, self.stderr = streams
        self._ended = ended
        self._kill = kill
        self._tty = tty

    def resize(self, width: int, height: int) -> None:
        """Tell the terminal its size in characters; without a terminal, or after its end, nothing happens."""
        if not self._tty:
            return
        for descriptor in (self.stdin, self.stdout):
            try:
                fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
            except OSError:
                continue
            return

    async def wait(self) -> int:
        """Return the exit code once the command has ended (128 + signal when killed)."""
        return await asyncio.shield(self._ended)

    def kill(self) -> None:
        """End the command now."""
        if not self._ended.done():
            self._kill()


class Pipes:
    """The two sides of standard streams, closed on leaving unless they were taken."""

    def __init__(self, *, stdin: bool, stderr: bool = True) -> None:
        self.mine = [-1, -1, -1]
        self.theirs = [-1, -1, -1]
        if stdin:
            self.theirs[0], self.mine[0] = os.pipe()
        else:
            self.theirs[0] = os.open("/dev/null", os.O_RDONLY)
        self.mine[1], self.theirs[1] = os.pipe()
        if stderr:
            self.mine[2], self.theirs[2] = os.pipe()

    def close_theirs(self) -> None:
        """Close what the other side has got."""
        self.theirs = _close(self.theirs)

    def close(self) -> None:
        """Close everything."""
        self.close_theirs()
        self.mine = _close(self.mine)


def _close(descriptors: list[int]) -> list[int]:
    for descriptor in descriptors:
        if descriptor >= 0:
            os.close(descriptor)
    return [-1] * len(descriptors)


def kill_through(channel: Channel, number: int) -> Callable[[], None]:
    """Return what ends the command that was asked for by question `number`."""

    def kill() -> None:
        if channel.is_open:
            channel.put("kill_exec", exec=number)

    return kill
