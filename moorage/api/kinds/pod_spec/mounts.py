"""Where containers see volumes: mounts and devices.

Source: pkg/apis/core/validation/validation.go, ValidateVolumeMounts, ValidateVolumeDevices (v1.37).
"""

from collections.abc import Mapping
from typing import Any

from moorage.api.kinds.pod_spec.paths import validate_descending_path, validate_no_backsteps
from moorage.objects.errors import Cause
from moorage.objects.validation import duplicate, forbidden, invalid, not_found, not_supported, required

Part = Mapping[str, Any]

_PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
_RECURSIVE = ("Disabled", "Enabled", "IfPossible")
_BIND_OPTIONS = ("nodev", "noexec", "nosuid")


def validate_volume_mounts(path: str, container: Part, volumes: Mapping[str, Part]) -> list[Cause]:
    """Return the causes of a container's mounts; `volumes` are the pod's flawless ones by name."""
    causes: list[Cause] = []
    devices = {each.get("name"): each.get("devicePath") for each in container.get("volumeDevices") or ()}
    paths: set[str] = set()
    for index, mount in enumerate(container["volumeMounts"]):
        place = f"{path}[{index}]"
        name, target = mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            causes.append(required(f"{place}.name"))
        if name not in volumes:
            causes.append(not_found(f"{place}.name", name))
        if not target:
            causes.append(required(f"{place}.mountPath"))
        if target in paths:
            causes.append(invalid(f"{place}.mountPath", target, "must be unique"))
        paths.add(target)
        if devices:
            causes += _overlaps(place, mount, devices)
        if len(mount) > 2:
            causes += _validate_mount_options(path, place, mount, container)
            causes += _validate_bind_options(place, mount, volumes.get(name) or {})
    return causes


def _overlaps(path: str, mount: Part, devices: Mapping[Any, Any]) -> list[Cause]:
    causes = []
    if mount.get("name") in devices:
        causes.append(invalid(f"{path}.name", mount["name"], "must not already exist in volumeDevices"))
    if mount.get("mountPath") in devices.values():
        text = "must not already exist as a path in volumeDevices"
        causes.append(invalid(f"{path}.mountPath", mount["mountPath"], text))
    return causes


def _validate_mount_options(path: str, place: str, mount: Part, container: Part) -> list[Cause]:
    causes: list[Cause] = []
    if sub := mount.get("subPath"):
        causes += validate_descending_path(f"{path}.subPath", sub)
    if expression := mount.get("subPathExpr"):
        if sub:
            text = "subPathExpr and subPath are mutually exclusive"
            causes.append(invalid(f"{place}.subPathExpr", expression, text))
        causes += validate_descending_path(f"{path}.subPathExpr", expression)
    propagation = mount.get("mountPropagation")
    if propagation is not None:
        where = f"{path}.mountPropagation"
        if propagation not in _PROPAGATIONS:
            causes.append(not_supported(where, propagation, _PROPAGATIONS))
        privileged = (container.get("securityContext") or {}).get("privileged")
        if propagation == "Bidirectional" and not privileged:
            text = "Bidirectional mount propagation is available only to privileged containers"
            causes.append(forbidden(where, text))
    return causes + _validate_recursive(f"{path}.recursiveReadOnly", mount)


def _validate_recursive(path: str, mount: Part) -> list[Cause]:
    recursive = mount.get("recursiveReadOnly")
    if recursive is None or recursive == "Disabled":
        return []
    if recursive not in _RECURSIVE:
        return [not_supported(path, recursive, _RECURSIVE)]
    causes = []
    if not mount.get("readOnly"):
        causes.append(forbidden(path, "may only be specified when readOnly is true"))
    if mount.get("mountPropagation") not in {None, "None"}:
        causes.append(forbidden(path, "may only be specified when mountPropagation is None or not specified"))
    return causes


def _validate_bind_options(path: str, mount: Part, volume: Part) -> list[Cause]:
    options = mount.get("bindMountOptions") or ()
    causes: list[Cause] = []
    if options and volume.get("image") is not None:
        text = "bindMountOptions may not be used with image volumes"
        causes.append(invalid(f"{path}.bindMountOptions", options, text))
    seen: set[str] = set()
    for index, option in enumerate(options):
        place = f"{path}.bindMountOptions[{index}]"
        if option not in _BIND_OPTIONS:
            causes.append(not_supported(place, option, _BIND_OPTIONS))
        elif option in seen:
            causes.append(duplicate(place, option))
        seen.add(option)
    return causes


def validate_volume_devices(path: str, container: Part, volumes: Mapping[str, Part]) -> list[Cause]:
    """Return the causes of a container's block devices; `volumes` are the pod's flawless ones by name."""
    causes: list[Cause] = []
    mounts = {each.get("name"): each.get("mountPath") for each in container.get("volumeMounts") or ()}
    names: set[str] = set()
    paths: set[str] = set()
    for index, device in enumerate(container["volumeDevices"]):
        place = f"{path}[{index}]"
        name, target = device.get("name") or "", device.get("devicePath") or ""
        causes += _validate_device_name(f"{place}.name", name, names, volumes)
        if not target:
            causes.append(required(f"{place}.devicePath"))
        if target in paths:
            causes.append(invalid(f"{place}.devicePath", target, "must be unique"))
        if target and validate_no_backsteps(path, target):
            causes.append(invalid(f"{place}.devicePath", target, "can not contain backsteps ('..')"))
        else:
            paths.add(target)
        if name in mounts:
            causes.append(invalid(f"{place}.name", name, "must not already exist in volumeMounts"))
        if target in mounts.values():
            text = "must not already exist as a path in volumeMounts"
            causes.append(invalid(f"{place}.devicePath", target, text))
        names.add(name)
    return causes


def _validate_device_name(path: str, name: str, names: set[str], volumes: Mapping[str, Part]) -> list[Cause]:
    causes = [] if name else [required(path)]
    if name in names:
        causes.append(invalid(path, name, "must be unique"))
    volume = volumes.get(name)
    if volume is None:
        causes.append(not_found(path, name))
    elif volume.get("persistentVolumeClaim") is None and volume.get("ephemeral") is None:
        text = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
        causes.append(invalid(path, name, text))
    return causes
