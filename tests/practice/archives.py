"""Images for the practice, made from Debian's busybox-static: docker archives that `moorage image load` takes."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

BUSYBOX = Path("/bin/busybox")

#: Commands that the practice types; busybox answers to them by name. bash is its sh.
APPLETS = "sh ls cat touch sleep echo date env id hostname test true false head tail wc mkdir rm httpd wget nc ps kill".split()

BASH = b'#!/bin/sh\nexec /bin/sh "$@"\n'


def layer() -> bytes:
    """Return the one layer of every practice image."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for directory in ("bin", "tmp", "etc", "root"):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if directory == "tmp" else 0o755
            tar.addfile(entry)
        _add(tar, "bin/busybox", BUSYBOX.read_bytes(), 0o755)
        _add(tar, "bin/bash", BASH, 0o755)
        _add(tar, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n", 0o644)
        for applet in APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def docker_archive(path: Path, tags: list[str], command: list[str]) -> Path:
    """Write an archive as `docker save` would; returns its path."""
    content = layer()
    digest = hashlib.sha256(content).hexdigest()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": command, "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
    ).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": tags, "Layers": [f"{digest}/layer.tar"]}]).encode()
    with tarfile.open(path, "w") as tar:
        _add(tar, name, config, 0o644)
        _add(tar, f"{digest}/layer.tar", content, 0o644)
        _add(tar, "manifest.json", manifest, 0o644)
    return path
