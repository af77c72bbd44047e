"""Container logs in the format of the CRI: `<RFC 3339 time> <stream> <F or P> <line>`.

Source: kubernetes/design-proposals kubelet-cri-logging; a line longer than 16 KiB is cut into partial ones (P).
"""

import contextlib
import os
import time

#: containerd's max_container_log_line_size.
LINE_BYTES_MAX = 16 * 1024
#: How large a log grows before it is put aside, and how many files a container's log has. Source: kubelet's defaults of
#: containerLogMaxSize and containerLogMaxFiles.
FILE_BYTES_MAX, FILES_MAX = 10 << 20, 5


class Log:
    """Writes one attempt's log. One timestamp for all lines that arrive together: they do arrive together.

    A file that has grown is put aside as `<attempt>.log.<time>`. It is done here because here is where bytes are
    counted: nobody has to look, and no agent has to live.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self._size = 0
        self._descriptor = self._open()
        self._rest: dict[str, bytes] = {}
        self._second = (-1, "")

    def _open(self) -> int:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        self._size = os.fstat(descriptor).st_size
        return descriptor

    def feed(self, stream: str, data: bytes) -> None:
        """Write whole lines; keep what has no end yet."""
        prefix = self._prefix(stream)
        *lines, rest = (self._rest.pop(stream, b"") + data).split(b"\n")
        out = []
        for line in lines:
            rest_of_line = line
            while len(rest_of_line) > LINE_BYTES_MAX:
                out.append(prefix + b"P " + rest_of_line[:LINE_BYTES_MAX])
                rest_of_line = rest_of_line[LINE_BYTES_MAX:]
            out.append(prefix + b"F " + rest_of_line)
        while len(rest) >= LINE_BYTES_MAX:
            out.append(prefix + b"P " + rest[:LINE_BYTES_MAX])
            rest = rest[LINE_BYTES_MAX:]
        if rest:
            self._rest[stream] = rest
        if out:
            self._write(b"\n".join(out) + b"\n")

    def reopen(self) -> None:
        """Write on at the path, where someone has moved the old file away."""
        descriptor = self._open()
        os.close(self._descriptor)
        self._descriptor = descriptor

    def close(self) -> None:
        """Write what has no end and close."""
        for stream, rest in self._rest.items():
            self._write(self._prefix(stream) + b"F " + rest + b"\n")
        self._rest.clear()
        os.close(self._descriptor)

    def _prefix(self, stream: str) -> bytes:
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        if self._second[0] != seconds:
            self._second = (seconds, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)))
        return f"{self._second[1]}.{nanoseconds:09d}Z {stream} ".encode()

    def _write(self, data: bytes) -> None:
        try:
            while data:
                written = os.write(self._descriptor, data)
                self._size += written
                data = data[written:]
            if self._size >= FILE_BYTES_MAX:
                self._put_aside()
        except OSError:
            return  # a full disk must not end the container

    def _put_aside(self) -> None:
        """Begin a new file and keep the newest old ones."""
        self._size = 0
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(seconds))
        os.rename(self.path, f"{self.path}.{stamp}.{nanoseconds:09d}")
        self.reopen()
        directory, name = os.path.split(self.path)
        aside = sorted(one for one in os.listdir(directory) if one.startswith(f"{name}."))
        for old in aside[: -(FILES_MAX - 1)]:
            with contextlib.suppress(OSError):
                os.unlink(f"{directory}/{old}")
