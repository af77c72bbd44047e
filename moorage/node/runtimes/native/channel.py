"""The agent's end of a connection to a zygote or a shim: questions answered out of order, news pushed."""

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

from moorage.node.runtimes.native.frames import DESCRIPTORS_MAX, Decoder, Message, encode, rights
from moorage.node.runtimes.runtime import RuntimeFailure

#: The largest piece read at once.
READ_BYTES = 1 << 18


class Channel:
    """Asks and listens; all methods belong to one event loop."""

    def __init__(
        self, sock: socket.socket, on_event: Callable[[Message], None] | None = None, peer: str = "runtime"
    ) -> None:
        sock.setblocking(False)  # noqa: FBT003
        self._socket = sock
        self._loop = asyncio.get_running_loop()
        self._decoder = Decoder()
        self._answers: dict[int, asyncio.Future[tuple[Message, list[int]]]] = {}
        self._last = 0
        self._out: list[tuple[bytes, list[int]]] = []
        self._peer = peer
        self.on_event = on_event
        #: Called once when the peer has gone.
        self.on_close: Callable[[], None] | None = None
        self.is_open = True
        #: What the peer says of itself as soon as it is ready; see `ready`.
        self._greeting = self._loop.create_future()
        self._answers[0] = self._greeting
        self._loop.add_reader(sock, self._read)

    async def ready(self) -> Message:
        """Return the peer's first word. Raises RuntimeFailure with its reason."""
        message, _ = await self.take(self._greeting)
        return message

    async def ask(self, verb: str, descriptors: Sequence[int] = (), **arguments: Any) -> Message:
        """Ask and return the answer. Raises RuntimeFailure with the peer's reason."""
        message, given = await self.ask_for_descriptors(verb, descriptors, **arguments)
        for descriptor in given:
            os.close(descriptor)
        return message

    async def ask_for_descriptors(
        self, verb: str, descriptors: Sequence[int] = (), **arguments: Any
    ) -> tuple[Message, list[int]]:
        """Ask and return the answer and the descriptors that came with it, which are the caller's."""
        _, answer = self.put(verb, descriptors, **arguments)
        return await self.take(answer)

    def put(
        self, verb: str, descriptors: Sequence[int] = (), **arguments: Any
    ) -> tuple[int, "asyncio.Future[tuple[Message, list[int]]]"]:
        """Send a question and return its number and the future of its answer. Descriptors stay the caller's."""
        if not self.is_open:
            raise self._gone()
        self._last += 1
        answer: asyncio.Future[tuple[Message, list[int]]] = self._loop.create_future()
        self._answers[self._last] = answer
        self._send(encode({"id": self._last, "do": verb, **arguments}, descriptors), descriptors)
        return self._last, answer

    async def take(self, answer: "asyncio.Future[tuple[Message, list[int]]]") -> tuple[Message, list[int]]:
        """Wait for the answer to a question that was put. Raises RuntimeFailure with the peer's reason."""
        message, given = await answer
        if "error" in message:
            raise RuntimeFailure(message["reason"], message["error"])
        return message, given

    def _gone(self) -> RuntimeFailure:
        return RuntimeFailure("RuntimeUnavailable", f"the {self._peer} has ended")

    def close(self) -> None:
        """Close the connection; unanswered questions fail."""
        if not self.is_open:
            return
        self.is_open = False
        self._loop.remove_reader(self._socket)
        if self._out:
            self._loop.remove_writer(self._socket)
        for _, copies in self._out:
            for copy in copies:
                os.close(copy)
        self._decoder.close()
        self._socket.close()
        answers, self._answers = self._answers, {}
        for answer in answers.values():
            if not answer.done():
                answer.set_exception(self._gone())
                answer.exception()  # nobody may be waiting
        if self.on_close is not None:
            self.on_close()

    def _send(self, data: bytes, descriptors: Sequence[int]) -> None:
        if not self._out:
            try:
                sent = self._socket.sendmsg([data], rights(descriptors))
            except BlockingIOError:
                sent = 0
            except OSError:
                self.close()
                return
            if sent == len(data):
                return
            data, descriptors = data[sent:], () if sent else descriptors
            self._loop.add_writer(self._socket, self._write)
        self._out.append((data, [os.dup(one) for one in descriptors]))

    def _write(self) -> None:
        while self._out:
            data, copies = self._out[0]
            try:
                sent = self._socket.sendmsg([data], rights(copies))
            except BlockingIOError:
                return
            except OSError:
                self.close()
                return
            for copy in copies:
                os.close(copy)
            if sent < len(data):
                self._out[0] = (data[sent:], [])
                return
            self._out.pop(0)
        self._loop.remove_writer(self._socket)

    def _read(self) -> None:
        try:
            data, ancillary, _, _ = self._socket.recvmsg(
                READ_BYTES, socket.CMSG_SPACE(DESCRIPTORS_MAX * 4), socket.MSG_CMSG_CLOEXEC
            )
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data, ancillary = b"", []
        self._decoder.feed(data, ancillary)
        while self.is_open and (item := self._decoder.next()) is not None:
            self._hear(*item)
        if not data:
            self.close()

    def _hear(self, message: Message, descriptors: list[int]) -> None:
        answer = self._answers.pop(message["id"], None) if "id" in message else None
        if answer is not None and not answer.done():
            answer.set_result((message, descriptors))
            return
        for descriptor in descriptors:
            os.close(descriptor)
        if "id" not in message and self.on_event is not None:
            self.on_event(message)
