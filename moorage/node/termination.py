"""What a container says about its own end: a file of the node that is mounted at its terminationMessagePath.

Source: the page "Determine the Reason for Pod Failure"; kubelet's MaxContainerTerminationMessage… constants (v1.37).
"""

import os
from collections import deque
from dataclasses import replace
from pathlib import Path

from moorage.node.logs import Excerpt, shown
from moorage.node.runtimes.runtime import ContainerState, Mount
from moorage.objects.metadata import Object

#: How much of the file becomes the message; how much of the log's end does when the file is empty.
MESSAGE_BYTES_MAX, LOG_BYTES_MAX, LOG_LINES_MAX = 4096, 2048, 80


def prepare_file(directory: Path, container: Object, attempt: int) -> list[Mount]:
    """Make the file of an attempt below the pod's directory; returns its mount, none if the container wants none.

    Raises OSError.
    """
    target = container.get("terminationMessagePath") or ""
    if not target:
        return []
    path = str(file_of(directory, container["name"], attempt))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
    os.fchmod(descriptor, 0o666)  # whatever the umask; the container may run as anybody
    os.close(descriptor)
    return [Mount(path, target)]


def file_of(directory: Path, container: str, attempt: int) -> Path:
    """Return where an attempt's message is."""
    return directory / "containers" / container / str(attempt)


def with_message(state: ContainerState, container: Object, directory: Path, log: Path) -> ContainerState:
    """Return an ended attempt with what it, or else its log, says of its end. log: its file in CRI format."""
    try:
        with file_of(directory, state.name, state.attempt).open("rb") as file:
            said = file.read(MESSAGE_BYTES_MAX)
    except OSError:
        said = b""
    if not said and state.exit_code and container.get("terminationMessagePolicy") == "FallbackToLogsOnError":
        said = _end_of(log)
    return replace(state, message=said.decode(errors="replace")) if said else state


def _end_of(log: Path) -> bytes:
    try:
        with log.open("rb") as file:
            lines = deque((line.rstrip(b"\n") for line in file), maxlen=LOG_LINES_MAX)
    except OSError:
        return b""
    return b"".join(shown(line, Excerpt()) for line in lines)[-LOG_BYTES_MAX:]
