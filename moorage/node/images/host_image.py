"""The built-in image `moorage.local/host`: this machine's own /usr, read only, under a small skeleton.

It needs no network and no download: a pod gets a shell and whatever programs the machine has. Nothing else of the
machine is visible in it. Its default command waits until it is told to stop.
"""

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from moorage.node.images import trees
from moorage.node.runtimes.runtime import Mount

if TYPE_CHECKING:
    from moorage.node.images.store import Image

REGISTRY = "moorage.local"
REFERENCE = f"{REGISTRY}/host:latest"

DIRECTORIES = (
    "bin",
    "dev",
    "etc",
    "home",
    "mnt",
    "opt",
    "proc",
    "root",
    "run",
    "srv",
    "sys",
    "tmp",
    "usr",
    "var",
    "var/tmp",
)
#: Directories that are links into /usr on today's distributions; where they are not, they are shown as they are.
MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
#: What programs in /usr look for outside of it.
SHOWN = ("/etc/alternatives", "/etc/ssl", "/etc/ca-certificates", "/etc/pki", "/etc/ld.so.cache", "/etc/ld.so.conf.d")
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/os-release": 'NAME="Moorage host image"\nID=moorage-host\n',
}
COMMAND = ["/bin/sh", "-c", "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done"]


def make(layers: Path) -> "Image":
    """Return the image, its skeleton layer made in `layers` unless it is there."""
    from moorage.node.images.store import Image

    links, shown = _links_and_mounts()
    plan = repr((DIRECTORIES, FILES, links, shown))
    digest = hashlib.sha256(plan.encode()).hexdigest()
    skeleton = layers / f"host-{digest[:24]}"
    if not skeleton.is_dir():
        _make_skeleton(skeleton, links, shown)
    mounts = tuple(Mount(path, path, read_only=True) for path in shown)
    config = {"Cmd": COMMAND, "Env": ["LANG=C.UTF-8"]}
    return Image(f"sha256:{digest}", (REFERENCE,), (str(skeleton),), config, "", 0, mounts)


def _links_and_mounts() -> tuple[dict[str, str], list[str]]:
    links: dict[str, str] = {}
    shown = ["/usr"]
    for name in MERGED:
        path = f"/{name}"
        if os.path.islink(path):
            links[name] = os.readlink(path).lstrip("/")
        elif os.path.isdir(path):
            shown.append(path)
    return links, [*shown, *(path for path in SHOWN if os.path.exists(path))]


def _make_skeleton(target: Path, links: dict[str, str], shown: list[str]) -> None:
    work = target.with_name(f".{target.name}.{os.getpid()}")
    trees.remove(work)
    work.mkdir(parents=True)
    for name in DIRECTORIES:
        if name not in links:
            (work / name).mkdir(exist_ok=True)
    for name in ("tmp", "var/tmp"):
        (work / name).chmod(0o1777)
    for name, text in FILES.items():
        (work / name).write_text(text)
    for path in shown:  # made here once, not in each container
        place = work / path.lstrip("/")
        if os.path.isdir(path):
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
    for name, destination in links.items():
        (work / name).symlink_to(destination)
    try:
        work.rename(target)
    except OSError:  # someone else was quicker
        trees.remove(work)
