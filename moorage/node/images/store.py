"""ImageStore: images on this machine's disk, shared by its nodes.

    layers/<digest>/     unpacked, ready as overlay's lower directory; named by the first half of its diff id's digest
    images/<digest>.json one image: its references, layers, configuration
    tmp/                 what is not finished, by process; what dead ones left is removed on opening

Everything appears by rename, so that a crash leaves the old or the new. A layer is kept as long as an image names it.
"""

import asyncio
import itertools
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from moorage.node.images import archive, host_image, layers, registry, trees
from moorage.node.images.manifest import Manifest
from moorage.node.images.reference import parse_reference
from moorage.node.runtimes.runtime import ImageStatus, Mount, RuntimeFailure


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is here. layers: directories, lowest first; config: the `config` member of its configuration."""

    id: str
    references: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
    size_bytes: int = 0
    mounts: tuple[Mount, ...] = ()

    def status(self) -> ImageStatus:
        """Return what the Runtime Protocol shows."""
        reference = self.references[0] if self.references else self.id
        user = str(self.config.get("User") or "")
        return ImageStatus(self.id, reference, self.digest, self.size_bytes, user, self.references)


class ImageStore:
    """Opens (and makes) the store at `directory`. Belongs to one event loop; disk and network work is done elsewhere.

    rootless: unpack for a user namespace; by default what this process is.
    """

    def __init__(
        self, directory: Path, *, registries: registry.Registries | None = None, rootless: bool | None = None
    ) -> None:
        self.directory = directory.resolve()
        self.rootless = os.geteuid() != 0 if rootless is None else rootless
        self._registries = registries or registry.Registries()
        self._images: dict[str, Image] = {}
        self._by_reference: dict[str, str] = {}
        self._pulls: dict[str, asyncio.Lock] = {}
        self._unpacking: dict[str, asyncio.Lock] = {}
        self._numbers = itertools.count()
        self._users: list[Callable[[], Iterable[str]]] = []
        self._followers: list[Callable[[Callable[[str], bool]], None]] = []
        for name in ("layers", "images", "tmp"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        for leftover in (self.directory / "tmp").iterdir():
            if not _is_in_use(leftover):
                trees.remove(leftover)
        for path in sorted((self.directory / "images").glob("*.json")):
            self._remember(_read_image(path, self.directory))
        self._remember(host_image.make(self.directory / "layers"))

    def _remember(self, image: Image) -> None:
        self._images[image.id] = image
        for reference in image.references:
            self._by_reference[reference] = image.id

    def count_users(self, users: Callable[[], Iterable[str]]) -> None:
        """Ask `users` for the ids (or references) of images in use before one is removed."""
        self._users.append(users)

    def follow(self, arrived: Callable[[Callable[[str], bool]], None]) -> None:
        """Call `arrived` after images were loaded, with what tells whether a reference names one of them."""
        self._followers.append(arrived)

    def _tell(self, names: frozenset[str]) -> None:
        def is_same(reference: str) -> bool:
            with suppress(RuntimeFailure):
                return str(parse_reference(reference)) in names
            return False

        for arrived in self._followers:
            arrived(is_same)

    def resolve(self, reference: str) -> Image | None:
        """Return the image by id, reference or digest, if it is here. Raises RuntimeFailure("InvalidImageName")."""
        if reference in self._images:
            return self._images[reference]
        parsed = parse_reference(reference)
        if parsed.digest:
            wanted = f"{parsed.name}@{parsed.digest}"
            found = self._by_reference.get(wanted)
        else:
            found = self._by_reference.get(str(parsed))
        return self._images[found] if found else None

    def list(self) -> Sequence[Image]:
        """Return all images."""
        return list(self._images.values())

    async def pull(self, reference: str, credentials: Mapping[str, tuple[str, str]] | None = None) -> Image:
        """Fetch the image from its registry, also when it is here already (its tag may have moved).

        credentials: registry → (user, password), from imagePullSecrets. Raises RuntimeFailure.
        """
        parsed = parse_reference(reference)
        if parsed.registry == host_image.REGISTRY:
            here = self.resolve(reference)
            if here is None:
                raise RuntimeFailure("ErrImagePull", f'"{reference}": only {host_image.REFERENCE} is built in')
            return here
        async with self._pulls.setdefault(str(parsed), asyncio.Lock()):
            async with registry.Pull(self._registries, parsed, credentials or {}) as pull:
                manifest = await pull.manifest()
                here = self._images.get(manifest.image_id)
                if here is None:
                    work = self._work_directory()
                    try:
                        blobs = await pull.blobs(manifest, work, skip=self._has_layer)
                        here = await self._add(manifest, blobs)
                    finally:
                        await asyncio.to_thread(trees.remove, work)
            names = [f"{parsed.name}@{manifest.digest}"]
            if parsed.tag:
                names.insert(0, f"{parsed.name}:{parsed.tag}")
            return self._name(replace(here, digest=f"{parsed.name}@{manifest.digest}"), names)

    async def load(self, path: Path) -> Sequence[Image]:
        """Load a docker-archive or an OCI layout (a directory or an archive of one); returns its images.

        Raises RuntimeFailure("InvalidImageArchive") for what is none of these.
        """
        work = self._work_directory()
        try:
            found = await asyncio.to_thread(archive.read, path, work)
            images = []
            for one in found:
                image = await self._add(one.manifest, one.blobs)
                names = [str(parse_reference(name)) for name in one.names]
                images.append(self._name(image, names))
            self._tell(frozenset(name for image in images for name in image.references))
            return images
        finally:
            await asyncio.to_thread(trees.remove, work)

    async def remove(self, reference: str) -> None:
        """Remove the image (all its names, when given by id), and layers that no other image uses. Gone is fine."""
        image = self.resolve(reference)
        if image is None or host_image.REFERENCE in image.references:
            return
        used = {one for users in self._users for one in users()}
        kept = (
            ()
            if reference == image.id
            else tuple(name for name in image.references if name != str(parse_reference(reference)) and "@" not in name)
        )
        if not kept and (image.id in used or used.intersection(image.references)):
            raise RuntimeFailure("ImageInUse", f'image "{reference}" is used by a container: remove that first')
        for name in image.references:
            self._by_reference.pop(name, None)
        if kept:
            self._write(replace(image, references=kept))
            return
        del self._images[image.id]
        self._record(image.id).unlink(missing_ok=True)
        needed = {layer for other in self._images.values() for layer in other.layers}
        for layer in set(image.layers) - needed:
            await asyncio.to_thread(self._discard, Path(layer))

    def _discard(self, layer: Path) -> None:
        """Take the layer out of sight first: a half removed one must never be used."""
        target = self._work_directory() / layer.name
        with suppress(FileNotFoundError):
            layer.rename(target)
        trees.remove(target.parent)

    def _work_directory(self) -> Path:
        while True:
            work = self.directory / "tmp" / f"{os.getpid()}-{next(self._numbers)}"
            with suppress(FileExistsError):  # of another store in this process, or of one that had our pid
                work.mkdir()
                return work

    def _layer(self, diff_id: str) -> Path:
        return self.directory / "layers" / diff_id.rpartition(":")[2][:32]

    def _has_layer(self, diff_id: str) -> bool:
        return self._layer(diff_id).is_dir()

    def _record(self, image_id: str) -> Path:
        return self.directory / "images" / f"{image_id.rpartition(':')[2]}.json"

    async def _add(self, manifest: Manifest, blobs: Mapping[str, Path]) -> Image:
        """Unpack what is not here yet. blobs: the layer's diff id → file, for layers that were not here."""
        for diff_id in manifest.diff_ids:
            async with self._unpacking.setdefault(diff_id, asyncio.Lock()):
                if not self._has_layer(diff_id):
                    await self._unpack(diff_id, blobs[diff_id])
        directories = tuple(str(self._layer(one)) for one in manifest.diff_ids)
        if not directories:
            raise layers.bad_layer("the image has no layers")
        known = self._images.get(manifest.image_id)
        if known is not None:
            return known
        size = sum([await asyncio.to_thread(trees.size_of, Path(one)) for one in directories])
        return Image(manifest.image_id, (), directories, manifest.config, "", size)

    async def _unpack(self, diff_id: str, blob: Path) -> None:
        work = self._work_directory()
        try:
            target = work / "layer"
            await asyncio.to_thread(layers.unpack_layer, blob, target, diff_id, rootless=self.rootless)
            target.rename(self._layer(diff_id))
        except OSError as error:
            raise RuntimeFailure("ErrImagePull", f"unpacking layer {diff_id}: {error}") from error
        finally:
            await asyncio.to_thread(trees.remove, work)

    def _name(self, image: Image, names: Sequence[str]) -> Image:
        """Give the image these names, taking them from the image that had them."""
        for name in names:
            former = self._images.get(self._by_reference.get(name, ""))
            if former is not None and former.id != image.id:
                self._write(replace(former, references=tuple(one for one in former.references if one != name)))
        named = replace(image, references=tuple(dict.fromkeys([*names, *image.references])))
        self._write(named)
        return named

    def _write(self, image: Image) -> None:
        record = {
            "id": image.id,
            "references": image.references,
            "layers": [Path(one).name for one in image.layers],
            "config": image.config,
            "digest": image.digest,
            "size_bytes": image.size_bytes,
        }
        work = self._work_directory()
        temporary = work / "record"
        temporary.write_text(json.dumps(record))
        temporary.replace(self._record(image.id))
        work.rmdir()
        self._remember(image)


def _is_in_use(leftover: Path) -> bool:
    """Tell whether the process that made this temporary directory may still be at work."""
    pid = leftover.name.partition("-")[0]
    return pid.isdigit() and Path(f"/proc/{pid}").exists()


def _read_image(path: Path, directory: Path) -> Image:
    record = json.loads(path.read_text())
    return Image(
        record["id"],
        tuple(record["references"]),
        tuple(str(directory / "layers" / one) for one in record["layers"]),
        record["config"],
        record["digest"],
        record["size_bytes"],
    )
