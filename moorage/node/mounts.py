"""Makes a pod's volumes ready on this machine, and takes them away again; never their data.

Files of ConfigMaps, Secrets and projections are written into a new directory that a `..data` link is swapped to, so
that a container sees all of them change at once, as with kubelet's atomic writer.
Not supported and refused: volume types that need a driver that is not here.
"""

import asyncio
import base64
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moorage.aio.clock import Clock
from moorage.client.client import Client, Target
from moorage.node.environment import Missing, field_value, resource_value
from moorage.node.references import Reference, in_volume
from moorage.objects.errors import NotFound, StatusError
from moorage.objects.metadata import Object, annotations_of, name_of, namespace_of, uid_of
from moorage.volumes.driver import Driver, DriverError

#: How long a projected service account token is valid when nothing else is said, in seconds.
TOKEN_SECONDS = 3607

_PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"


#: When a token is replaced, as a part of its life. Source: kubelet's token manager.
TOKEN_REFRESH = 0.8


class MountProblem(Exception):
    """A volume cannot be made ready now; the message becomes an Event."""


class Unsupported(MountProblem):
    """A kind of volume that this node does not know."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a file of a projected volume holds, and its mode."""

    data: bytes
    mode: int


@dataclass(slots=True)
class Mounts:
    """The volumes of all pods of one node. `root` holds a directory for each pod, by uid."""

    root: Path
    node: str
    node_ip: str
    client: Client
    drivers: Mapping[str, Driver]
    clock: Clock
    #: Whether there are containers that read the files; simulated ones read none.
    is_real: bool = True
    ready: dict[str, dict[str, tuple[str, bool]]] = field(default_factory=dict)
    _refresh_at: dict[str, float] = field(default_factory=dict)

    async def prepare(self, pod: Object) -> Mapping[str, tuple[str, bool]]:
        """Return where each volume's content is, and whether it is read-only. Raises MountProblem."""
        sources: dict[str, tuple[str, bool]] = {}
        self._refresh_at.pop(uid_of(pod), None)
        for volume in pod["spec"].get("volumes") or ():
            sources[volume["name"]] = await self._prepared(pod, volume)
        self.ready[uid_of(pod)] = sources
        return sources

    async def refresh(self, pod: Object, reference: Reference | None = None) -> None:
        """Write the files of a running pod anew: those from a ConfigMap or Secret, else its tokens. Raises MountProblem."""
        if reference is None:
            self._refresh_at.pop(uid_of(pod), None)
        for volume in pod["spec"].get("volumes") or ():
            named = (reference.resource, reference.name) if reference else None
            if (named in in_volume(volume, name_of(pod))) if named else _has_token(volume):
                await self._prepared(pod, volume)

    def refresh_in(self, uid: str) -> float | None:
        """Return after how many seconds the pod's tokens have to be replaced, None if it has none."""
        due = self._refresh_at.get(uid)
        return None if due is None else max(0.0, due - self.clock.monotonic())

    async def _prepared(self, pod: Object, volume: Object) -> tuple[str, bool]:
        name = volume["name"]
        try:
            return await self._source(pod, volume)
        except Unsupported as problem:
            raise MountProblem(
                f"Unable to attach or mount volumes: unmounted volumes=[{name}], unattached volumes=[], failed to "
                f'process volumes=[{name}]: failed to get Plugin from volumeSpec for volume "{name}" err={problem}'
            ) from problem
        except OSError as error:
            raise MountProblem(f'MountVolume.SetUp failed for volume "{name}" : {described(error)}') from error
        except (MountProblem, DriverError, Missing, StatusError) as error:
            raise MountProblem(f'MountVolume.SetUp failed for volume "{name}" : {error}') from error

    def directory_of(self, uid: str) -> Path:
        """Return where everything is that was made for a pod."""
        return self.root / uid

    async def remove(self, uid: str) -> None:
        """Take away what was made for a pod. Content of claims and host paths is not below its directory."""
        self.ready.pop(uid, None)
        self._refresh_at.pop(uid, None)
        directory = self.root / uid
        if directory.exists():
            await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)

    async def _source(self, pod: Object, volume: Object) -> tuple[str, bool]:
        if "emptyDir" in volume:
            return str(self._directory(pod, "kubernetes.io~empty-dir", volume["name"], mode=0o777)), False
        if host := volume.get("hostPath"):
            return _host_path(host["path"], host.get("type") or ""), False
        if claim := volume.get("persistentVolumeClaim"):
            return await self._claimed(pod, claim["claimName"]), bool(claim.get("readOnly"))
        if "ephemeral" in volume:
            return await self._claimed(pod, f"{name_of(pod)}-{volume['name']}"), False
        files = await self._files(pod, volume)
        if files is None:
            kinds = [key for key in volume if key != "name"]
            kind = kinds[0] if kinds else "unknown"
            raise Unsupported(f"no volume plugin matched: volumes of type {kind} are not supported by this node")
        directory = self._directory(pod, "kubernetes.io~projected", volume["name"], mode=0o755)
        if self.is_real:
            write_files(directory, files)  # small ones, in memory until the kernel writes them: a thread costs more
        return str(directory), True

    def _directory(self, pod: Object, kind: str, name: str, *, mode: int) -> Path:
        directory = self.root / uid_of(pod) / "volumes" / kind / name
        if self.is_real and not os.path.isdir(directory):
            os.makedirs(directory, exist_ok=True)
            os.chmod(directory, mode)
        return directory

    async def _claimed(self, pod: Object, claim_name: str) -> str:
        claim = await self.client.get(Target("persistentvolumeclaims", namespace_of(pod), claim_name))
        volume_name = claim["spec"].get("volumeName")
        if not volume_name or (claim.get("status") or {}).get("phase") != "Bound":
            raise MountProblem(f"claim {claim_name} is not bound")
        volume = await self.client.get(Target("persistentvolumes", "", volume_name))
        driver = self.drivers.get(annotations_of(volume).get(_PROVISIONED_BY, ""))
        if driver is not None:
            return await driver.publish(volume, self.node)
        spec = volume["spec"]
        if host := spec.get("hostPath"):
            return self._bound_path(uid_of(volume), host["path"], host.get("type") or "")
        if local := spec.get("local"):
            return _host_path(local["path"], "Directory")
        raise MountProblem(f"volume {volume_name} needs a driver that is not here")

    def _bound_path(self, uid: str, path: str, kind: str) -> str:
        """Return a volume's path of the machine. It may be made once; missing later, its data is missing, so say it."""
        seen = self.root.parent / "seen-volumes" / uid
        if seen.exists() and not os.path.lexists(path):
            raise MountProblem(f'path "{path}" does not exist')
        found = _host_path(path, kind)
        if not seen.exists():
            seen.parent.mkdir(parents=True, exist_ok=True)
            seen.touch()
        return found

    async def _files(self, pod: Object, volume: Object) -> Mapping[str, Content] | None:
        if source := volume.get("configMap"):
            return await self._from_object(pod, "configmaps", source, source.get("name", ""), _mode(source))
        if source := volume.get("secret"):
            return await self._from_object(pod, "secrets", source, source.get("secretName", ""), _mode(source))
        if source := volume.get("downwardAPI"):
            return self._from_pod(pod, source, _mode(source))
        if source := volume.get("projected"):
            files: dict[str, Content] = {}
            for each in source.get("sources") or ():
                files |= await self._projected(pod, each, _mode(source))
            return files
        return None

    async def _projected(self, pod: Object, source: Object, mode: int) -> Mapping[str, Content]:
        if part := source.get("configMap"):
            return await self._from_object(pod, "configmaps", part, part.get("name", ""), mode)
        if part := source.get("secret"):
            return await self._from_object(pod, "secrets", part, part.get("name", ""), mode)
        if part := source.get("downwardAPI"):
            return self._from_pod(pod, part, mode)
        if part := source.get("serviceAccountToken"):
            return {part["path"]: Content(await self._token(pod, part), mode)}
        raise Unsupported(f"projections of type {next(iter(source), 'unknown')} are not supported by this node")

    async def _from_object(self, pod: Object, kind: str, source: Object, name: str, mode: int) -> Mapping[str, Content]:
        try:
            obj = await self.client.get(Target(kind, namespace_of(pod), name))
        except NotFound:
            if source.get("optional"):
                return {}
            raise MountProblem(f'{kind[:-1]} "{name}" not found') from None
        data = _bytes_of(obj)
        items = source.get("items")
        if not items:
            return {key: Content(value, mode) for key, value in data.items()}
        missing = [each["key"] for each in items if each["key"] not in data]
        if missing and not source.get("optional"):
            raise MountProblem(
                f"references non-existent {'config' if kind == 'configmaps' else 'secret'} key: {missing[0]}"
            )
        return {
            each["path"]: Content(data[each["key"]], each.get("mode") or mode) for each in items if each["key"] in data
        }

    def _from_pod(self, pod: Object, source: Object, mode: int) -> Mapping[str, Content]:
        facts = {"hostIP": self.node_ip}
        files: dict[str, Content] = {}
        for each in source.get("items") or ():
            if field_ref := each.get("fieldRef"):
                text = field_value(pod, field_ref["fieldPath"], facts)
            else:
                text = resource_value(pod, pod["spec"]["containers"][0], each["resourceFieldRef"], facts)
            files[each["path"]] = Content(text.encode(), each.get("mode") or mode)
        return files

    async def _token(self, pod: Object, source: Object) -> bytes:
        account = pod["spec"].get("serviceAccountName") or "default"
        spec: dict[str, Any] = {
            "expirationSeconds": source.get("expirationSeconds") or TOKEN_SECONDS,
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": name_of(pod), "uid": uid_of(pod)},
        }
        if audience := source.get("audience"):
            spec["audiences"] = [audience]
        due = self.clock.monotonic() + spec["expirationSeconds"] * TOKEN_REFRESH
        self._refresh_at[uid_of(pod)] = min(due, self._refresh_at.get(uid_of(pod), due))
        if not self.is_real:
            return b""
        metadata = {"name": account, "namespace": namespace_of(pod)}
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": metadata, "spec": spec}
        answer = await self.client.create("serviceaccounts", request, subresource="token")
        return str(answer["status"]["token"]).encode()


def described(error: OSError) -> str:
    """Return an error of the operating system in the field's words: `/path: no space left on device`."""
    what = (error.strerror or str(error)).lower()
    return f"{error.filename}: {what}" if error.filename else what


def _has_token(volume: Object) -> bool:
    return any("serviceAccountToken" in each for each in (volume.get("projected") or {}).get("sources") or ())


def _mode(source: Object) -> int:
    mode = source.get("defaultMode")
    return int(mode) if mode is not None else 0o644


def _bytes_of(obj: Object) -> dict[str, bytes]:
    if obj.get("kind") == "Secret":
        return {key: base64.b64decode(value) for key, value in (obj.get("data") or {}).items()}
    texts = {key: value.encode() for key, value in (obj.get("data") or {}).items()}
    return {**texts, **{key: base64.b64decode(value) for key, value in (obj.get("binaryData") or {}).items()}}


def _host_path(path: str, kind: str) -> str:
    """Return a path of the machine, made or checked as its type asks. Raises MountProblem."""
    if kind == "DirectoryOrCreate" or (not kind and not os.path.lexists(path)):
        Path(path).mkdir(parents=True, exist_ok=True, mode=0o755)
    elif kind == "FileOrCreate" and not Path(path).exists():
        Path(path).touch(mode=0o644)
    checks = {"Directory": os.path.isdir, "File": os.path.isfile}
    if not os.path.lexists(path) or (kind in checks and not checks[kind](path)):
        wanted = "directory" if kind in ("Directory", "", "DirectoryOrCreate") else "file"
        raise MountProblem(f"hostPath type check failed: {path} is not a {wanted}")
    return path


def prepare_sub_path(mount: Object, volume: str, path: str) -> None:
    """Make the part of a volume that a container mounts, if it is missing. Raises ValueError, OSError.

    A link that a container has put into the volume must not lead out of it.
    """
    if path == volume:
        return
    root, real = os.path.realpath(volume), os.path.realpath(path)
    if real != root and not real.startswith(f"{root}/"):
        raise ValueError(f'failed to prepare subPath for volumeMount "{mount["name"]}": it leads out of the volume')
    if not os.path.exists(real):
        os.makedirs(real, 0o755)


def write_files(directory: Path, files: Mapping[str, Content]) -> None:
    """Make the directory show exactly these files, all at once. Raises MountProblem, OSError."""
    place = str(directory)
    present = os.listdir(place)
    number = max((int(name[2:]) for name in present if name.startswith("..") and name[2:].isdigit()), default=0) + 1
    fresh = f"{place}/..{number}"
    os.mkdir(fresh, 0o755)
    for path, content in files.items():
        _write_file(fresh, path, content)
    if "..data_new" in present:  # of a crash
        os.unlink(f"{place}/..data_new")
    os.symlink(f"..{number}", f"{place}/..data_new")
    old = os.readlink(f"{place}/..data") if "..data" in present else ""
    os.replace(f"{place}/..data_new", f"{place}/..data")
    names = {path.split("/")[0] for path in files}
    for name in names.difference(present):
        os.symlink(f"..data/{name}", f"{place}/{name}")
    for name in present:
        if not name.startswith("..") and name not in names:
            os.unlink(f"{place}/{name}")
    if old:
        shutil.rmtree(f"{place}/{old}", ignore_errors=True)


def _write_file(root: str, path: str, content: Content) -> None:
    parts = path.split("/")
    if not path or path.startswith("/") or ".." in parts:
        raise MountProblem(f"path {path!r} must stay inside the volume")
    if len(parts) > 1:
        os.makedirs(f"{root}/{'/'.join(parts[:-1])}", exist_ok=True)
    descriptor = os.open(f"{root}/{path}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, content.mode)
    try:
        os.fchmod(descriptor, content.mode)
        os.write(descriptor, content.data)
    finally:
        os.close(descriptor)
