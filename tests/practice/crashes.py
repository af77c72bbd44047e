"""A student who goes through the practice, a saboteur who kills at events, and what has to hold in spite of them."""

import contextlib
import json
import os
import random
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.practice import manifests
from tests.practice.lesson import Failed, Lesson

#: How long a student waits for a cluster that was killed, and for one step to come true, in seconds.
PATIENCE_SECONDS = 60.0


@dataclass
class Diary:
    """What the cluster has acknowledged: objects with their uid, revision and replicas, and files in volumes."""

    objects: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    files: dict[str, set[str]] = field(default_factory=dict)

    def note(self, output: str) -> None:
        """Take in what `kubectl apply -o json` printed."""
        for obj in _objects_in(output):
            self.objects[obj["kind"], obj["metadata"]["name"]] = obj

    def check(self, lesson: Lesson) -> None:
        """Compare with the API. Raises AssertionError."""
        for (kind, name), noted in self.objects.items():
            found = lesson.get(kind.lower(), name)
            assert found["metadata"]["uid"] == noted["metadata"]["uid"], (kind, name)
            revisions = [int(each["metadata"]["resourceVersion"]) for each in (found, noted)]
            assert revisions[0] >= revisions[1], (kind, name)
            assert found["spec"].get("replicas") == noted["spec"].get("replicas"), (kind, name)


def _objects_in(output: str) -> Iterator[dict[str, Any]]:
    decoder, text = json.JSONDecoder(), output.lstrip()
    while text.startswith("{"):
        obj, end = decoder.raw_decode(text)
        yield from obj["items"] if obj["kind"] == "List" else [obj]
        text = text[end:].lstrip()


class Student(threading.Thread):
    """Goes through chapters 1 to 4. A step that fails because the cluster was killed is done again."""

    def __init__(self, lesson: Lesson, diary: Diary) -> None:
        super().__init__(daemon=True)
        self.lesson = lesson
        self.diary = diary
        self.failure: Exception | None = None

    def run(self) -> None:
        """Do all steps, one after the other."""
        try:
            for step in self.steps():
                self.patiently(step)
        except Exception as error:  # noqa: BLE001 - told by the thread that waits for this one
            self.failure = error

    def patiently(self, step: Callable[[], None]) -> None:
        """Do a step until it is acknowledged. Raises Failed when that never happens."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                step()
            except (Failed, subprocess.TimeoutExpired, KeyError, json.JSONDecodeError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)  # what a person does between two attempts
            else:
                return

    def apply(self, manifest: str) -> Callable[[], None]:
        """Return the step that applies a manifest and notes the acknowledgement."""
        return lambda: self.diary.note(self.lesson.kubectl("apply", "-o", "json", "-f", "-", stdin=manifest))

    def wait(self, selector: str, count: int) -> Callable[[], None]:
        """Return the step that waits for ready pods."""

        def step() -> None:
            if count:
                self.lesson.ready(selector, count)
            else:
                self.lesson.gone(selector)

        return step

    def touch(self, pod: Callable[[], str], claim: str, name: str) -> Callable[[], None]:
        """Return the step that makes a file in a volume and notes it."""

        def step() -> None:
            self.lesson.kubectl("exec", pod(), "--", "touch", f"/applog/{name}")
            self.diary.files.setdefault(claim, set()).add(name)

        return step

    def steps(self) -> Iterator[Callable[[], None]]:
        """Yield the steps of chapters 1 to 4."""
        lesson = self.lesson
        yield self.apply(manifests.replicaset(1))
        yield self.apply(manifests.statefulset(1))
        yield self.wait("type=web", 1)
        yield self.apply(manifests.replicaset(3))
        yield self.apply(manifests.statefulset(3))
        yield self.wait("type=web", 3)
        yield self.wait("type=db", 3)
        yield lambda: lesson.kubectl("delete", "pod", "--ignore-not-found", "--timeout=30s", "stateful-test-0") and None
        yield self.wait("type=db", 3)
        yield self.apply(manifests.CLAIM)
        nodes: list[str] = []
        yield lambda: nodes.extend(node["metadata"]["name"] for node in lesson.get("nodes")["items"])
        yield self.apply(manifests.replicaset_with_claim(1, nodes[1]))
        yield self.wait("type=web2", 1)
        yield self.touch(lambda: lesson.names("type=web2")[0], "replica-pvc1", "hello_modu.log")
        yield self.apply(manifests.replicaset_with_claim(3, nodes[1]))
        yield self.wait("type=web2", 3)
        yield self.apply(manifests.statefulset_with_claims(1))
        yield self.wait("type=db2", 1)
        yield self.touch(lambda: "stateful-pvc-0", "volume-stateful-pvc-0", "hello-modu-stateful.log")
        yield self.apply(manifests.statefulset_with_claims(3))
        yield self.wait("type=db2", 3)
        yield self.touch(lambda: "stateful-pvc-2", "volume-stateful-pvc-2", "second.log")
        yield self.apply(manifests.statefulset_with_claims(0))
        yield self.wait("type=db2", 0)
        yield self.apply(manifests.statefulset_with_claims(3))
        yield self.wait("type=db2", 3)


class Saboteur:
    """Kills at the n-th change of a pod; which processes and which n are drawn from a seed."""

    def __init__(self, lesson: Lesson, seed: int) -> None:
        self.lesson = lesson
        self.random = random.Random(seed)
        self.state = lesson.directory / "state"
        self.kills: list[str] = []

    def wait_for_event(self, student: Student) -> bool:
        """Wait until pods have changed a number of times; False if the student is through before."""
        left = self.random.randint(1, 25)
        environment = {**os.environ, "KUBECONFIG": str(self.lesson.directory / "kubeconfig")}
        environment["HOME"] = str(self.lesson.directory)
        command = [*self.lesson.prefix, self.lesson.kubectl_path, f"--cache-dir={self.lesson.directory / 'cache'}"]
        watch = subprocess.Popen(
            [*command, "get", "pods", "--watch-only", "-o", "name"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        with watch:
            assert watch.stdout is not None
            while left > 0 and student.is_alive():
                if select.select([watch.stdout], [], [], 0.1)[0]:
                    chunk = os.read(watch.stdout.fileno(), 65536)
                    if not chunk:
                        break
                    left -= chunk.count(b"\n")
            watch.kill()
        return student.is_alive()

    def kill(self) -> str:
        """Kill some processes of the cluster at once; returns which."""
        kind = self.random.choice(["cluster", "zygotes", "shims", "cluster and zygotes", "everything"])
        pids: list[int] = []
        if "cluster" in kind or kind == "everything":
            pids.append(int((self.state / "moorage.lock").read_text() or 0))
        if "zygotes" in kind or kind == "everything":
            pids += self._named("nodes/host.pid", "nodes/nodes/*/zygote.pid")
        if kind in ("shims", "everything"):
            pids += self._named("nodes/nodes/*/sandboxes/*/shim.pid")
        self.random.shuffle(pids)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.kills.append(kind)
        return kind

    def _named(self, *patterns: str) -> list[int]:
        found = []
        for path in (path for pattern in patterns for path in self.state.glob(pattern)):
            with contextlib.suppress(OSError, ValueError, KeyError):
                found.append(int(json.loads(path.read_text())["pid"]))
        return found


def leftovers(state: Path) -> list[str]:
    """Return the processes and mounts of this machine that belong to a state directory."""
    mark, found = os.fsencode(state), []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes()
            if process.name != str(os.getpid()) and mark in command:
                found.append(f"process {process.name}: {command!r}")
            elif mark in (process / "mountinfo").read_bytes():
                found.append(f"process {process.name} has mounts: {command!r}")
    return found
