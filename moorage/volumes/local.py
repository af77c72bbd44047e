"""Volumes that are directories of this machine: `<root>/<volume>/data`, one directory a volume.

The directory of a volume belongs to us alone (0700); `data` in it may be written by any user (0777), because a pod
mounts that and runs under the uid of its own choice. A volume appears by one rename and goes by one rename into
`.trash`, whose contents are removed afterwards, and again at the next start. Names that could leave the root, and
anything that is not a plain directory where one must be, are refused; symbolic links are never followed.
"""

import asyncio
import contextlib
import os
import re
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from moorage.objects.metadata import Object, name_of
from moorage.objects.nodes import HOSTNAME
from moorage.objects.volumes import spec_of
from moorage.volumes.driver import DriverError, VolumeRequest

#: The provisioner's name, as StorageClass.provisioner says it.
NAME: Final = "moorage.dev/local"

_TRASH: Final = ".trash"
_NEW: Final = ".new-"
#: A DNS subdomain: no slash, no leading dot.
_VOLUME_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


class LocalDriver:
    """Directories below `root`, which is made when it is missing.

    remove: removes a directory tree; replaced where files of other users need another identity to be removed.
    """

    name = NAME

    def __init__(self, root: Path, remove: Callable[[Path], None] | None = None) -> None:
        self._root = root
        self._remove = remove or _remove_tree

    def start(self) -> None:
        """Make the root and finish what a crash left: half-made volumes and trash go. Raises OSError."""
        self._root.mkdir(parents=True, exist_ok=True)
        self._root.chmod(0o700)
        (self._root / _TRASH).mkdir(mode=0o700, exist_ok=True)
        for entry in self._root.iterdir():
            if entry.name.startswith(_NEW):
                self._discard(entry)
        self._empty_trash()

    async def create(self, request: VolumeRequest) -> Object:
        """Make the directory (or find it made) and return source, affinity and capacity of its PersistentVolume."""
        _check_name(request.name)
        try:
            await asyncio.to_thread(self._make, request.name)
        except OSError as error:
            raise DriverError(f"cannot make volume {request.name}: {error.strerror}") from error
        path = str(self._root / request.name / "data")
        spec: dict[str, Any] = {"capacity": {"storage": str(request.size_bytes)}}
        if not request.node:
            return {**spec, "hostPath": {"path": path, "type": "Directory"}}
        return {**spec, "local": {"path": path}, "nodeAffinity": _affinity_to(request.node)}

    async def delete(self, volume: Object) -> None:
        """Remove the data; done already is fine. Raises DriverError for what is not ours or cannot be removed."""
        self._check_ours(volume)
        try:
            await asyncio.to_thread(self._discard, self._root / name_of(volume))
        except OSError as error:
            raise DriverError(f"cannot delete volume {name_of(volume)}: {error.strerror}") from error
        try:
            await asyncio.to_thread(self._empty_trash)
        except OSError as error:
            raise DriverError(f"volume {name_of(volume)} is in the trash, which stays: {error.strerror}") from error

    async def publish(self, volume: Object, node: str) -> str:
        """Return the directory with the data. Raises DriverError when it is gone or is no directory of ours."""
        self._check_ours(volume)
        for path in (self._root / name_of(volume), self._root / name_of(volume) / "data"):
            if not _is_directory(path):
                raise DriverError(f"{path} is not a directory", temporary=False)
        return str(self._root / name_of(volume) / "data")

    def _make(self, name: str) -> None:
        final = self._root / name
        if _is_directory(final / "data") and _is_directory(final):
            return
        if os.path.lexists(final):
            raise DriverError(f"{final} is not a volume", temporary=False)
        self._root.mkdir(parents=True, mode=0o700, exist_ok=True)
        draft = self._root / f"{_NEW}{name}"
        if os.path.lexists(draft):
            self._discard(draft)
        draft.mkdir(mode=0o700)
        (draft / "data").mkdir()
        (draft / "data").chmod(0o777)
        _flush(draft)
        draft.rename(final)
        _flush(self._root)

    def _discard(self, path: Path) -> None:
        """Move a directory into the trash in one step."""
        trash = self._root / _TRASH
        trash.mkdir(mode=0o700, exist_ok=True)
        number = 0
        while os.path.lexists(trash / f"{path.name}.{number}"):
            number += 1
        with contextlib.suppress(FileNotFoundError):
            path.rename(trash / f"{path.name}.{number}")
            _flush(self._root)

    def _empty_trash(self) -> None:
        for entry in list((self._root / _TRASH).iterdir()):
            if entry.is_symlink() or not entry.is_dir():
                entry.unlink(missing_ok=True)
            else:
                self._remove(entry)

    def _check_ours(self, volume: Object) -> None:
        name = name_of(volume)
        _check_name(name)
        spec = spec_of(volume)
        source = spec.get("local") or spec.get("hostPath") or {}
        if source.get("path") != str(self._root / name / "data"):
            raise DriverError(f"volume {name} was not made here: {source.get('path')}", temporary=False)


def _affinity_to(node: str) -> dict[str, Any]:
    """Return the node affinity of a volume that only this node reaches."""
    expression = {"key": HOSTNAME, "operator": "In", "values": [node]}
    return {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}


def _check_name(name: str) -> None:
    if not _VOLUME_NAME.fullmatch(name) or ".." in name:
        raise DriverError(f"{name!r} cannot be the name of a volume", temporary=False)


def _is_directory(path: Path) -> bool:
    """Tell whether there is a directory that is not a symbolic link."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _flush(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_tree(path: Path) -> None:
    """Remove a tree without following symbolic links; directories that forbid it are opened up first."""
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return
    except PermissionError:
        for directory, names, _ in os.walk(path):
            for name in names:
                child = Path(directory, name)
                if not child.is_symlink():
                    child.chmod(0o700)
        shutil.rmtree(path)
