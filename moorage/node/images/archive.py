"""Reading images from files: `docker save` archives and OCI layouts (a directory, or an archive of one). Blocking."""

import hashlib
import json
import shutil
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

from moorage.node.images.layers import BROKEN, CHUNK
from moorage.node.images.manifest import (
    JSON_BYTES_MAX,
    Manifest,
    assemble,
    blobs_of,
    checked_digest,
    decode,
    digest_of,
    is_index,
    pick,
)
from moorage.node.runtimes.runtime import RuntimeFailure

#: Where OCI layouts say what an image is called, the better one first.
_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


class Found(NamedTuple):
    """An image of an archive. blobs: diff id → file with the layer."""

    names: Sequence[str]
    manifest: Manifest
    blobs: Mapping[str, Path]


class _Source(Protocol):
    """Named files, wherever they are."""

    def has(self, name: str) -> bool: ...
    def open(self, name: str) -> IO[bytes]: ...


def _bad(message: str) -> RuntimeFailure:
    return RuntimeFailure("InvalidImageArchive", message, temporary=False)


def read(path: Path, work: Path) -> list[Found]:
    """Copy the layers of every image in the archive to `work`. Raises RuntimeFailure("InvalidImageArchive")."""
    with _source(path) as source:
        if source.has("manifest.json"):
            return _read_docker(source, work)
        if source.has("index.json"):
            return _read_layout(source, work)
    raise _bad(f"{path.name} is neither a docker-archive (manifest.json) nor an OCI layout (index.json)")


@contextmanager
def _source(path: Path) -> Iterator[_Source]:
    try:
        if path.is_dir():
            yield _Folder(path)
            return
        with tarfile.open(path) as archive:
            yield _Archive(archive)
    except BROKEN as error:
        raise _bad(f"{path.name} is not a readable image archive: {error}") from error
    except OSError as error:
        raise _bad(f"{path.name} cannot be read: {error}") from error
    except RuntimeFailure as error:
        raise _bad(f"{path.name}: {error}") from error


class _Folder:
    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def _path(self, name: str) -> Path:
        path = (self._root / name).resolve()
        if not path.is_relative_to(self._root):
            raise _bad(f"{name} leads out of the layout")
        return path

    def has(self, name: str) -> bool:
        return self._path(name).is_file()

    def open(self, name: str) -> IO[bytes]:
        return self._path(name).open("rb")


class _Archive:
    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self._members = {member.name.removeprefix("./"): member for member in archive.getmembers()}

    def has(self, name: str) -> bool:
        return name in self._members

    def open(self, name: str) -> IO[bytes]:
        if name not in self._members:
            raise _bad(f"the archive names {name} and does not contain it")
        file = self._archive.extractfile(self._members[name])
        if file is None:
            raise _bad(f"{name} is not a file")
        return file


def _small(source: _Source, name: str) -> bytes:
    with source.open(name) as file:
        return file.read(JSON_BYTES_MAX + 1)


def _copy(source: _Source, name: str, target: Path) -> str:
    """Copy a blob and return its digest."""
    hashing = hashlib.sha256()
    with source.open(name) as file, target.open("wb") as out:
        while data := file.read(CHUNK):
            hashing.update(data)
            out.write(data)
    return f"sha256:{hashing.hexdigest()}"


def _read_docker(source: _Source, work: Path) -> list[Found]:
    entries = json.loads(_small(source, "manifest.json"))
    if not isinstance(entries, list) or not entries:
        raise _bad("manifest.json names no images")
    found: list[Found] = []
    copied: dict[str, Path] = {}
    for entry in entries:
        names, config, layers = _docker_entry(entry)
        configuration = _small(source, config)
        manifest = assemble(digest_of(configuration), configuration, layers)
        for layer in layers:
            if layer not in copied:
                copied[layer] = work / f"layer-{len(copied)}"
                _copy(source, layer, copied[layer])
        found.append(Found(names, manifest, {diff_id: copied[layer] for layer, diff_id in manifest.layers}))
    return found


def _docker_entry(entry: Any) -> tuple[list[str], str, list[str]]:
    if isinstance(entry, Mapping):
        names, config, layers = (
            _strings(entry.get("RepoTags") or []),
            entry.get("Config"),
            _strings(entry.get("Layers")),
        )
        if names is not None and layers is not None and isinstance(config, str):
            return names, config, layers
    raise _bad("manifest.json has an entry without Config and Layers")


def _strings(value: object) -> list[str] | None:
    return value if isinstance(value, list) and all(isinstance(one, str) for one in value) else None


def _blob(digest: str) -> str:
    algorithm, _, digits = checked_digest(digest).partition(":")
    return f"blobs/{algorithm}/{digits}"


def _checked(source: _Source, digest: str) -> bytes:
    data = _small(source, _blob(digest))
    if digest_of(data) != digest:
        raise _bad(f"blob {digest} has another content than its digest says")
    return data


def _read_layout(source: _Source, work: Path) -> list[Found]:
    index = decode(_small(source, "index.json"), "index.json")
    if not is_index(index):
        raise _bad("index.json names no manifests")
    found = []
    for number, entry in enumerate(index["manifests"]):
        if not isinstance(entry, Mapping):
            raise _bad("index.json has an entry that is not an object")
        manifest = decode(_checked(source, str(entry.get("digest"))), "a manifest")
        if is_index(manifest):
            manifest = decode(_checked(source, pick(manifest)), "a manifest")
        found.append(_layout_image(source, manifest, _names(entry), work / str(number)))
    return found


def _names(entry: Mapping[str, Any]) -> list[str]:
    annotations = entry.get("annotations")
    values = [annotations.get(name) for name in _NAMES] if isinstance(annotations, Mapping) else []
    full = [one for one in values if isinstance(one, str) and one]
    return full[:1]


def _layout_image(source: _Source, manifest: Mapping[str, Any], names: list[str], work: Path) -> Found:
    config, layers = blobs_of(manifest)
    image = assemble(config, _checked(source, config), layers)
    work.mkdir()
    try:
        blobs = {}
        for number, (digest, diff_id) in enumerate(image.layers):
            blobs[diff_id] = work / str(number)
            _compare(digest, _copy(source, _blob(digest), blobs[diff_id]))
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return Found(names, image, blobs)


def _compare(said: str, found: str) -> None:
    if said != found:
        raise _bad(f"layer {said} has another content than its digest says")
