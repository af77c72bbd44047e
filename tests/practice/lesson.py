"""A cluster of the practice, and kubectl on it: small verbs that wait for conditions, never for time."""

import json
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import moorage

DEADLINE_SECONDS = 30.0

SYSTEM_PYTHON = "/usr/bin/python3"


class Failed(AssertionError):
    """A command ended with another exit code than expected."""


@dataclass
class Lesson:
    """One cluster in its own directory, used as a person would: by commands."""

    directory: Path
    kubectl_path: str
    nodes: int = 3
    user: int = 0
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def prefix(self) -> list[str]:
        """What runs commands as the lesson's user."""
        uid = str(self.user)
        return ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", "env"] if self.user else []

    def run(self, *command: str, code: int = 0, stdin: str | None = None, timeout: float = 120) -> str:
        """Run a command; returns its standard output and error together. Raises Failed for another exit code."""
        environment = {**os.environ, "HOME": str(self.directory), **self.environment}
        environment["KUBECONFIG"] = str(self.directory / "kubeconfig")
        done = subprocess.run(
            [*self.prefix, *command],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment,
            cwd=self.directory,
            check=False,
        )
        output = done.stdout + done.stderr
        if done.returncode != code:
            raise Failed(f"{' '.join(command)}: exit code {done.returncode}, not {code}\n{output}\n{self.log_tail()}")
        return output

    def log_tail(self) -> str:
        """Return the end of the cluster's own log."""
        path = self.directory / "state" / "moorage.log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""

    def moorage(self, *arguments: str, code: int = 0, stdin: str | None = None) -> str:
        """Run a moorage command on this cluster."""
        command, *rest = arguments
        target = ["--data-dir", str(self.directory / "state")]
        rest = [rest[0], *target, *rest[1:]] if command == "image" else [*target, *rest]
        return self.run(*self.interpreter, "-m", "moorage.cli", command, *rest, code=code, stdin=stdin)

    @property
    def interpreter(self) -> list[str]:
        """The Python that runs Moorage: ours, or the system's with our packages where the user may not run ours."""
        if not self.user or may_run(sys.executable, self.user):
            return [sys.executable]
        paths = [str(Path(moorage.__file__).parent.parent), sysconfig.get_path("purelib")]
        return ["env", f"PYTHONPATH={os.pathsep.join(paths)}", SYSTEM_PYTHON]

    def up(self) -> str:
        """Start the cluster."""
        return self.moorage("up", "--nodes", str(self.nodes))

    def kubectl(self, *arguments: str, code: int = 0, stdin: str | None = None) -> str:
        """Run kubectl on this cluster, with a discovery cache of its own."""
        return self.run(
            self.kubectl_path, f"--cache-dir={self.directory / 'cache'}", *arguments, code=code, stdin=stdin
        )

    def apply(self, manifest: str) -> str:
        """Apply a manifest."""
        return self.kubectl("apply", "-f", "-", stdin=manifest)

    def get(self, *arguments: str) -> Any:
        """Return what `kubectl get … -o json` prints."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def pods(self, selector: str) -> list[dict[str, Any]]:
        """Return the pods of a selector that are not going away, by name."""
        items = self.get("pods", "-l", selector)["items"]
        return [pod for pod in items if "deletionTimestamp" not in pod["metadata"]]

    def names(self, selector: str) -> list[str]:
        """Return the names of the pods of a selector."""
        return [pod["metadata"]["name"] for pod in self.pods(selector)]

    def ready(self, selector: str, count: int) -> list[dict[str, Any]]:
        """Wait until exactly so many pods of a selector exist and all are ready; returns them."""

        def check() -> list[dict[str, Any]] | None:
            everyone = self.get("pods", "-l", selector)["items"]
            return everyone if len(everyone) == count and all(is_ready(pod) for pod in everyone) else None

        return self.until(check, f"{count} ready pods of {selector}") if count else self.gone(selector)

    def gone(self, selector: str) -> list[dict[str, Any]]:
        """Wait until no pod of a selector is left."""
        self.until(lambda: not self.get("pods", "-l", selector)["items"] or None, f"no pods of {selector}")
        return []

    def until(self, check: Callable[[], Any], what: str, seconds: float = DEADLINE_SECONDS) -> Any:
        """Return the first true answer of a check. Raises Failed after the deadline."""
        deadline = time.monotonic() + seconds
        while True:
            found = check()
            if found:
                return found
            if time.monotonic() > deadline:
                pods = self.kubectl("get", "pods,pvc,pv", "-o", "wide")
                events = self.kubectl("get", "events", "--sort-by=.lastTimestamp")[-3000:]
                raise Failed(f"waited {seconds:g} s for {what}\n{pods}\n{events}\n{self.log_tail()}")
            time.sleep(0.05)


def may_run(program: str, user: int) -> bool:
    """Tell whether somebody else may run a program."""
    # Through a shell: setpriv itself still has root's rights when it looks for what it runs.
    command = [
        "setpriv",
        "--reuid",
        str(user),
        "--regid",
        str(user),
        "--clear-groups",
        "sh",
        "-c",
        '"$0" -c ""',
        program,
    ]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def is_ready(pod: dict[str, Any]) -> bool:
    """Tell whether a pod's Ready condition is true."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
