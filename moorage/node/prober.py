"""Runs the probes and lifecycle handlers of containers: exec, HTTP, TCP."""

import asyncio
import contextlib
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from moorage.aio.tasks import Tasks
from moorage.node.observed import ProbeState
from moorage.node.probes import KINDS, Tally, counted, timing_of
from moorage.node.runtimes.runtime import Runtime, RuntimeFailure
from moorage.objects.metadata import Object, uid_of

#: How much of a probe's output is kept for the Event.
OUTPUT_MOST = 10 * 1024


class Place(NamedTuple):
    """Where a handler runs: a container of a pod, by its id in the runtime."""

    pod: Object
    container: Object
    id: str


class ProbeFailed(Exception):
    """The handler says no; the message says how."""


async def run_handler(runtime: Runtime, place: Place, handler: Object, limit_seconds: float | None) -> None:
    """Run an exec, HTTP, TCP or sleep handler. Raises ProbeFailed."""
    try:
        async with asyncio.timeout(limit_seconds):
            if command := handler.get("exec"):
                await _exec(runtime, place, command.get("command") or ())
            elif request := handler.get("httpGet"):
                await _http(runtime, place, request)
            elif target := handler.get("tcpSocket"):
                (await runtime.dial(uid_of(place.pod), port_of(place.container, target["port"]))).close()
            elif pause := handler.get("sleep"):
                await asyncio.sleep(pause.get("seconds") or 0)
            else:
                raise ProbeFailed(f"handlers of type {next(iter(handler), 'unknown')} are not supported by this node")
    except TimeoutError:
        raise ProbeFailed(f"command timed out after {limit_seconds:g}s" if limit_seconds else "timed out") from None
    except (OSError, RuntimeFailure, ValueError) as error:
        raise ProbeFailed(str(error)) from error


async def _exec(runtime: Runtime, place: Place, command: "list[str] | tuple[str, ...]") -> None:
    process = await runtime.exec(uid_of(place.pod), place.id, list(command), tty=False, stdin=False)
    try:
        output = await _drain([process.stdout, process.stderr])
        code = await process.wait()
    except BaseException:
        process.kill()
        raise
    if code:
        raise ProbeFailed(output.decode(errors="replace").strip() or f"exit status {code}")


async def _drain(descriptors: list[int]) -> bytes:
    """Read descriptors to their end; keeps the beginning."""
    loop, kept = asyncio.get_running_loop(), b""
    for descriptor in descriptors:
        if descriptor < 0:
            continue
        try:
            os.set_blocking(descriptor, False)
            while True:
                ready: asyncio.Future[None] = loop.create_future()
                loop.add_reader(descriptor, _resolve, ready)
                try:
                    await ready
                finally:
                    loop.remove_reader(descriptor)
                chunk = os.read(descriptor, 65536)
                if not chunk:
                    break
                kept = (kept + chunk)[:OUTPUT_MOST]
        finally:
            os.close(descriptor)
    return kept


def _resolve(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


async def _http(runtime: Runtime, place: Place, request: Object) -> None:
    port = port_of(place.container, request["port"])
    host = request.get("host") or ""
    connection = await runtime.dial(uid_of(place.pod), port)
    tls = _unverified() if request.get("scheme") == "HTTPS" else None
    reader, writer = await asyncio.open_connection(sock=connection, ssl=tls, server_hostname="" if tls else None)
    try:
        headers = {"Host": host or f"localhost:{port}", "User-Agent": "kube-probe/1.37", "Accept": "*/*"}
        headers |= {each["name"]: each["value"] for each in request.get("httpHeaders") or ()}
        lines = [f"GET {request.get('path') or '/'} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
        writer.write(("\r\n".join([*lines, "Connection: close", "", ""])).encode())
        await writer.drain()
        answer = (await reader.readline()).decode(errors="replace").split()
    finally:
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()
    if len(answer) < 2 or not answer[1].isdigit():
        raise ProbeFailed("the answer is not HTTP")
    if not 200 <= int(answer[1]) < 400:
        raise ProbeFailed(f"HTTP probe failed with statuscode: {answer[1]}")


def _unverified() -> ssl.SSLContext:
    """Probes do not check certificates. Source: the page on probes."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def port_of(container: Object, port: int | str) -> int:
    """Return a port's number; a name is one of the container's own ports. Raises ValueError."""
    if isinstance(port, int):
        return port
    for each in container.get("ports") or ():
        if each.get("name") == port:
            return int(each["containerPort"])
    if port.isdigit():
        return int(port)
    raise ValueError(f"couldn't find port {port!r} in container {container['name']}")


class Prober:
    """Probes the containers of one node and tells of each changed verdict."""

    def __init__(self, runtime: Runtime, tasks: Tasks) -> None:
        self._runtime = runtime
        self._tasks = tasks
        self._running: dict[tuple[str, str], tuple[int, list[asyncio.Task[None]]]] = {}
        self._states: dict[tuple[str, str], ProbeState] = {}

    def states(self, uid: str, containers: Mapping[str, int]) -> dict[str, ProbeState]:
        """Return what is known of these containers' running attempts."""
        found = {}
        for name, attempt in containers.items():
            state = self._states.get((uid, name))
            if state is not None and state.attempt == attempt:
                found[name] = state
        return found

    def watch(self, place: Place, attempt: int, changed: Callable[[str], None]) -> None:
        """Probe an attempt until `forget`; `changed` is called with the text of a failure, or "" for good news."""
        key = (uid_of(place.pod), place.container["name"])
        known = self._running.get(key)
        if known is not None and known[0] == attempt:
            return
        self.forget(*key)
        kinds = [kind for kind in KINDS if place.container.get(f"{kind}Probe")]
        if not kinds:
            return
        self._states[key] = ProbeState(attempt)
        tasks = [self._tasks.start(f"probe/{key[1]}/{kind}", self._probe(place, key, kind, changed)) for kind in kinds]
        self._running[key] = (attempt, tasks)

    def forget(self, uid: str, container: str) -> None:
        """Stop probing a container."""
        _, tasks = self._running.pop((uid, container), (0, []))
        self._states.pop((uid, container), None)
        for task in tasks:
            task.cancel()

    async def _probe(self, place: Place, key: tuple[str, str], kind: str, changed: Callable[[str], None]) -> None:
        probe = place.container[f"{kind}Probe"]
        timing, tally = timing_of(probe), Tally()
        await asyncio.sleep(timing.delay)
        while True:
            if kind == "startup" or self._is_started(place, key):
                message = ""
                try:
                    await run_handler(self._runtime, place, probe, timing.timeout)
                except ProbeFailed as error:
                    message = str(error)
                before, tally = tally.verdict, counted(tally, not message, timing)
                if message:
                    changed(f"{kind.capitalize()} probe failed: {message}")
                if tally.verdict is not before:
                    self._note(key, kind, tally.verdict, message)
                    changed("")
                if kind == "startup" and tally.verdict:
                    return
            await asyncio.sleep(timing.period)

    def _is_started(self, place: Place, key: tuple[str, str]) -> bool:
        state = self._states.get(key)
        return not place.container.get("startupProbe") or (state is not None and bool(state.started))

    def _note(self, key: tuple[str, str], kind: str, verdict: bool | None, message: str) -> None:  # noqa: FBT001
        state = self._states.get(key)
        if state is None:
            return
        if kind == "startup":
            self._states[key] = replace(state, started=verdict, message=message)
        elif kind == "readiness":
            self._states[key] = replace(state, ready=verdict, message=message)
        else:
            self._states[key] = replace(state, alive=verdict, message=message)
