"""The command line as a person uses it: one cluster in its own directory."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Result:
    """What a command left: its exit code, and both of its streams."""

    code: int
    output: str
    error: str


@dataclass
class CommandLine:
    """Runs moorage commands with a home of their own."""

    home: Path

    @property
    def state(self) -> Path:
        """The cluster's directory."""
        return self.home / "state"

    @property
    def kubeconfig(self) -> Path:
        """Where contexts are written."""
        return self.home / "kubeconfig"

    def run(self, *arguments: str, **environment: str) -> Result:
        """Run `moorage ARGUMENTS` with --data-dir after the first word."""
        done = subprocess.run(
            self._command(*arguments),
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
            env={**self._environment, **environment},
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start `moorage ARGUMENTS` and leave it running; its output can be read line by line."""
        return subprocess.Popen(
            self._command(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=self._environment,
        )

    def _command(self, command: str, *rest: str) -> list[str]:
        target = [] if command in ("version", "completion", "--help") else ["--data-dir", str(self.state)]
        return [sys.executable, "-m", "moorage.cli", command, *target, *rest]

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "HOME": str(self.home), "KUBECONFIG": str(self.kubeconfig)}
