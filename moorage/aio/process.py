"""The Process Protocol: a command that runs somewhere, seen through its descriptors."""

from typing import Protocol


class Process(Protocol):
    """A running command. Descriptors belong to the caller, who closes them; -1 where there is none.

    With a terminal `stdin` and `stdout` are the same terminal and `stderr` is -1.
    """

    stdin: int
    stdout: int
    stderr: int

    def resize(self, width: int, height: int) -> None:
        """Tell the terminal its size in characters."""

    async def wait(self) -> int:
        """Return the exit code once the command has ended (128 + signal when killed)."""

    def kill(self) -> None:
        """End the command now."""
