"""A socket in the cluster's directory by which commands of the same user reach the running process.

One JSON object a line: a request {"do": verb, ...}, then answers until {"done": true} or {"failed": text}.
The socket is readable by its owner alone; what goes over it is not part of the Kubernetes API.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

log = logging.getLogger(__name__)

#: From a request to its answers. Raises ControlRefused.
Verb = Callable[[dict[str, Any]], AsyncIterator[dict[str, Any]]]

_NAME = "control.sock"


class ControlRefused(Exception):
    """The request cannot be done; the message is for the user."""


class ControlServer:
    """Serves verbs on the socket of a cluster's directory."""

    def __init__(self, directory: Path, verbs: dict[str, Verb]) -> None:
        self._path = directory / _NAME
        self._verbs = verbs
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; a socket that a killed process left is replaced."""
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with _inside(self._path.parent):
            listener.bind(_NAME)
        self._path.chmod(0o600)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener)

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = orjson.loads(await reader.readline())
            async for answer in self._answers(request):
                writer.write(orjson.dumps(answer) + b"\n")
                await writer.drain()
        except (ConnectionError, orjson.JSONDecodeError, ValueError) as error:
            log.warning("control_request_lost error=%s", error)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answers(self, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        verb = self._verbs.get(request.get("do", ""))
        if verb is None:
            yield {"failed": f"the running cluster does not know {request.get('do')!r}: it is of another version"}
            return
        try:
            async for answer in verb(request):
                yield answer
        except ControlRefused as error:
            yield {"failed": str(error)}
        except Exception as error:
            log.exception("control_verb_failed verb=%s", request.get("do"))
            yield {"failed": f"{type(error).__name__}: {error}"}
        else:
            yield {"done": True}


@contextlib.contextmanager
def _inside(directory: Path) -> Iterator[None]:
    """Make the directory the current one: socket paths may have 107 bytes, and directories may be deep."""
    before = os.open(".", os.O_RDONLY)
    try:
        os.chdir(directory)
        yield
    finally:
        os.fchdir(before)
        os.close(before)


def ask(directory: Path, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Ask the running cluster of a directory; yields its answers. Raises ControlRefused, OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with connection:
        with _inside(directory):
            connection.connect(_NAME)
        connection.sendall(orjson.dumps(request) + b"\n")
        with connection.makefile("rb") as answers:
            for line in answers:
                answer = orjson.loads(line)
                if "failed" in answer:
                    raise ControlRefused(answer["failed"])
                if answer.get("done"):
                    return
                yield answer
    raise ControlRefused("the cluster's process ended before it answered")
