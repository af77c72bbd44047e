"""A cluster as its users have it: a process of its own, and clients that are processes of their own."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DEADLINE_SECONDS = 30.0

SIMULATED = ("--nodes", "0", "--simulated-nodes", "1")

#: One node that runs pods, which clients need for logs, exec and Jobs that end.
REAL = ("--nodes", "1")


class Failed(AssertionError):
    """A client ended with another exit code than expected, or did not say in time what was expected."""


@dataclass
class Cluster:
    """One cluster in a directory of its own."""

    directory: Path

    @property
    def kubeconfig(self) -> Path:
        """How clients find it."""
        return self.directory / "kubeconfig"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its clients: a home of their own, and nothing that leads to another cluster."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("KUBERNETES_", "MOORAGE_"))}
        kept.setdefault("LOGNAME", "somebody")  # kopf names itself after its user, who may have no entry in passwd
        return {**kept, "HOME": str(self.directory), "KUBECONFIG": str(self.kubeconfig)}

    def moorage(self, command: str, *arguments: str) -> str:
        """Run a moorage command on this cluster."""
        state = str(self.directory / "state")
        return self.run(sys.executable, "-m", "moorage.cli", command, "--data-dir", state, *arguments)

    def run(
        self, *command: str, code: int = 0, stdin: str | None = None, environment: Mapping[str, str] | None = None
    ) -> str:
        """Run a client; returns its standard output and error together. Raises Failed for another exit code."""
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            env={**self.environment, **(environment or {})},
            cwd=self.directory,
            check=False,
        )
        output = done.stdout + done.stderr
        if done.returncode != code:
            raise Failed(f"{' '.join(command)}: exit code {done.returncode}, not {code}\n{output}\n{self.log_tail()}")
        return output

    @contextmanager
    def running(self, *command: str, stdin: str = "") -> Iterator["Running"]:
        """Run a client beside the test, and end it afterwards."""
        given = self.directory / f"input-{time.monotonic_ns()}"
        given.write_text(stdin)
        path = self.directory / f"output-{time.monotonic_ns()}"
        with path.open("wb") as output, given.open("rb") as source:
            process = subprocess.Popen(
                command,
                stdin=source,
                stdout=output,
                stderr=output,
                env=self.environment,
                cwd=self.directory,
            )
        try:
            yield Running(path, process)
        finally:
            process.terminate()
            process.wait(10)

    def log_tail(self) -> str:
        """Return the end of the cluster's own log."""
        path = self.directory / "state" / "moorage.log"
        return path.read_text(errors="replace")[-600:] if path.exists() else ""


@dataclass
class Running:
    """A client that runs, and the file that gets all that it says."""

    path: Path
    process: "subprocess.Popen[bytes]"

    def said(self, pattern: str, seconds: float = DEADLINE_SECONDS) -> re.Match[str]:
        """Wait until it has said something. Raises Failed after the deadline."""
        found: re.Match[str] = until(
            lambda: re.search(pattern, self.path.read_text()), f"{pattern!r} in", seconds, self.path.read_text
        )
        return found


@dataclass
class Kubectl:
    """A kubectl of one version, in a namespace of its own."""

    cluster: Cluster
    path: str
    minor: int
    namespace: str = "default"
    environment: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, code: int = 0, stdin: str | None = None) -> str:
        """Run one command; returns what it said."""
        return self.cluster.run(*self.command(*arguments), code=code, stdin=stdin, environment=self.environment)

    def command(self, *arguments: str) -> list[str]:
        """Return the whole command line, with a discovery cache for this version alone."""
        cache = self.cluster.directory / f"cache-{self.minor}"
        return [self.path, f"--cache-dir={cache}", "--namespace", self.namespace, *arguments]

    def apply(self, manifest: str, *arguments: str) -> str:
        """Apply a manifest."""
        return self("apply", "-f", "-", *arguments, stdin=manifest)

    def field(self, path: str, *what: str) -> str:
        """Return one field of an object: kubectl.field(".spec.replicas", "deployment", "web")."""
        return self("get", *what, "-o", f"jsonpath={{{path}}}")


def until(check: Callable[[], Any], what: str, seconds: float, said: Callable[[], str] = str) -> Any:
    """Return the first true answer of a check. Raises Failed after the deadline."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        if time.monotonic() > deadline:
            raise Failed(f"waited {seconds:g} s for {what}\n{said()}")
        time.sleep(0.02)
    return found
