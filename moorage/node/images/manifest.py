"""Manifests and configurations of images, checked before anything is done with them. Pure."""

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from moorage.node.runtimes.runtime import RuntimeFailure

DOCKER = "application/vnd.docker.distribution.manifest"
OCI = "application/vnd.oci.image"
ACCEPT = f"{OCI}.index.v1+json, {DOCKER}.list.v2+json, {OCI}.manifest.v1+json, {DOCKER}.v2+json"
#: A manifest or configuration larger than this is refused (registries' own limit is 4 MiB).
JSON_BYTES_MAX = 4 << 20

ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "armv7l": "arm",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
}


class Manifest(NamedTuple):
    """One image. image_id: digest of its configuration; layers: (digest of the blob, diff id), lowest first."""

    image_id: str
    config: Mapping[str, Any]
    layers: Sequence[tuple[str, str]]
    digest: str = ""

    @property
    def diff_ids(self) -> list[str]:
        """The digests of the unpacked layers, lowest first."""
        return [diff_id for _, diff_id in self.layers]


def bad_image(message: str) -> RuntimeFailure:
    """Return the failure for a manifest or configuration that is not one."""
    return RuntimeFailure("ErrImagePull", message, temporary=False)


def digest_of(data: bytes) -> str:
    """Return the sha256 digest in the notation of registries."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def decode(data: bytes, what: str) -> dict[str, Any]:
    """Decode a JSON object. Raises RuntimeFailure."""
    if len(data) > JSON_BYTES_MAX:
        raise bad_image(f"{what} has more than {JSON_BYTES_MAX} bytes")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise bad_image(f"{what} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise bad_image(f"{what} is not a JSON object")
    return value


def is_index(manifest: Mapping[str, Any]) -> bool:
    """Tell whether this names manifests of several platforms."""
    return isinstance(manifest.get("manifests"), list)


def pick(index: Mapping[str, Any], machine: str | None = None) -> str:
    """Return the digest of the manifest for linux on this machine. Raises RuntimeFailure when there is none."""
    wanted = ARCHITECTURES.get(machine or platform.machine(), machine or platform.machine())
    offered = []
    for entry in index["manifests"]:
        if not isinstance(entry, Mapping):
            continue
        where = entry.get("platform")
        where = where if isinstance(where, Mapping) else {}
        if where.get("os") == "linux" and where.get("architecture") == wanted:
            return checked_digest(entry.get("digest"))
        offered.append(f"{where.get('os')}/{where.get('architecture')}")
    if len(index["manifests"]) == 1 and offered == ["None/None"]:  # a layout of one image need not name its platform
        return checked_digest(index["manifests"][0].get("digest"))
    raise RuntimeFailure(
        "ErrImagePull",
        f"no match for platform in manifest: linux/{wanted} not found; there is {', '.join(offered) or 'nothing'}",
        temporary=False,
    )


def checked_digest(value: object) -> str:
    """Return a sha256 digest that is one. Raises RuntimeFailure for what is not (it becomes part of a path)."""
    text = value if isinstance(value, str) else ""
    algorithm, _, digits = text.partition(":")
    if algorithm != "sha256" or len(digits) != 64 or not set(digits) <= set("0123456789abcdef"):
        raise bad_image(f"unsupported digest {value!r}: only sha256 is known here")
    return text


def blobs_of(manifest: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the digests of a manifest's configuration and layers."""
    config, layers = manifest.get("config"), manifest.get("layers")
    if not isinstance(config, Mapping) or not isinstance(layers, list):
        raise bad_image("unsupported manifest: it names no config and layers (schema version 1 is not supported)")
    digests = [checked_digest(layer.get("digest") if isinstance(layer, Mapping) else None) for layer in layers]
    return checked_digest(config.get("digest")), digests


def assemble(image_id: str, configuration: bytes, layers: Sequence[str], digest: str = "") -> Manifest:
    """Return the image of a configuration and its layers' blobs. Raises RuntimeFailure when they do not fit."""
    decoded = decode(configuration, "the image's configuration")
    rootfs = decoded.get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, Mapping) else None
    if not isinstance(diff_ids, list) or len(diff_ids) != len(layers):
        raise bad_image("the image's configuration does not name as many layers as its manifest")
    config = decoded.get("config")
    pairs = [(blob, checked_digest(diff_id)) for blob, diff_id in zip(layers, diff_ids, strict=True)]
    return Manifest(image_id, _plain(config if isinstance(config, Mapping) else {}), pairs, digest)


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the members that matter here, when they have the type they should."""
    kept: dict[str, Any] = {}
    for name in ("Entrypoint", "Cmd", "Env"):
        value = config.get(name)
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            kept[name] = value
    for name in ("WorkingDir", "User", "StopSignal"):
        if isinstance(config.get(name), str):
            kept[name] = config[name]
    return kept
