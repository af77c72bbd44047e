"""Runs the checks of a client's program one after the other; they run where that client is installed, not pytest.

A program names its checks `check_…`; each says as one line of JSON what came of it: {"check": name, "error": text or null}.
"""

import json
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

IMAGE = "moorage.local/host"


def pod(name: str, command: list[str], **labels: str) -> dict[str, Any]:
    """Return a pod with one container, which runs a command of the machine's own."""
    container = {"name": "main", "image": IMAGE, "command": command}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 0, "restartPolicy": "Never", "containers": [container]},
    }


def until(check: Callable[[], Any], what: str, seconds: float = 20) -> Any:
    """Return the first true answer of a check. Raises AssertionError after the deadline."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(0.05)
    return found


def refusal_of(kind: type[Exception], call: Callable[[], Any]) -> Any:
    """Return the exception of this kind that a call ends with. Raises AssertionError if it ends with none."""
    try:
        call()
    except kind as refusal:
        return refusal
    raise AssertionError("it was not refused")


def run(namespace: Mapping[str, Any], around: Callable[[Callable[[], Any]], Any] = lambda check: check()) -> None:
    """Run all checks of a module's globals(), in their order."""
    for name, check in list(namespace.items()):
        if not name.startswith("check_"):
            continue
        try:
            around(check)
            error = None
        except Exception:  # noqa: BLE001 - whatever it is, it is told
            error = traceback.format_exc()
        print(json.dumps({"check": name, "error": error}), flush=True)
