"""Annotations that mean something to pods.

Source: pkg/apis/core/validation/validation.go, ValidatePodSpecificAnnotations (v1.37).
"""

import re
from collections.abc import Mapping
from typing import Any

from moorage.objects.errors import Cause
from moorage.objects.validation import forbidden, invalid

MIRROR = "kubernetes.io/config.mirror"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"

SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
_SECCOMP_PROFILES = frozenset({"", "runtime/default", "docker/default", "unconfined"})

_integer = re.compile(r"-?[1-9]\d*|0").fullmatch


def validate_pod_annotations(path: str, annotations: Mapping[str, str], spec: Mapping[str, Any]) -> list[Cause]:
    """Return every broken rule of the annotations of a pod or of a pod template."""
    causes: list[Cause] = []
    mirror = annotations.get(MIRROR)
    if mirror and not spec.get("nodeName"):
        text = "must set spec.nodeName if mirror pod annotation is set"
        causes.append(invalid(f"{path}[{MIRROR}]", mirror, text))
    cost = annotations.get(DELETION_COST)
    if cost is not None and not (_integer(cost) and -(1 << 31) <= int(cost) < 1 << 31):
        causes.append(invalid(f"{path}[{DELETION_COST}]", cost, "must be a 32bit integer"))
    names: set[str] | None = None
    for key, profile in annotations.items():
        if not key.startswith(APP_ARMOR):
            continue
        names = names or {
            each.get("name", "") for field in ("containers", "initContainers") for each in spec.get(field) or ()
        }
        name = key.removeprefix(APP_ARMOR)
        if name not in names:
            causes.append(invalid(f"{path}[{key}]", name, "container not found"))
        if profile not in {"", "runtime/default", "unconfined"} and not profile.startswith("localhost/"):
            text = f'invalid AppArmor profile name: "{profile}"'
            causes.append(invalid(f"{path}[{key}]", profile, text))
    return causes + _validate_seccomp(path, annotations)


def _validate_seccomp(path: str, annotations: Mapping[str, str]) -> list[Cause]:
    """Judge the annotations that seccomp profiles once were: the pod's own first."""
    causes: list[Cause] = []
    for key in sorted(annotations, key=lambda each: (each != SECCOMP_POD, each)):
        if key != SECCOMP_POD and not key.startswith(SECCOMP_CONTAINER):
            continue
        profile = annotations[key]
        if profile.startswith("localhost/"):
            local = profile.removeprefix("localhost/")
            if local.startswith("/") or not local:
                causes.append(invalid(f"{path}.{key}", profile, "must be a relative path"))
            elif ".." in local.split("/"):
                causes.append(invalid(f"{path}.{key}", profile, "must not contain '..'"))
        elif profile not in _SECCOMP_PROFILES:
            causes.append(invalid(f"{path}.{key}", profile, "must be a valid seccomp profile"))
    return causes


def validate_annotation_changes(path: str, new: Mapping[str, str], old: Mapping[str, str]) -> list[Cause]:
    """Return what of a pod's special annotations may not change so."""
    causes = [
        forbidden(f"{path}[{key}]", "may not remove or update AppArmor annotations")
        for key, value in old.items()
        if key.startswith(APP_ARMOR) and new.get(key) != value
    ]
    causes += [
        forbidden(f"{path}[{key}]", "may not add AppArmor annotations")
        for key in new
        if key.startswith(APP_ARMOR) and key not in old
    ]
    before, after = old.get(MIRROR), new.get(MIRROR)
    if before is None and after is not None:
        causes.append(forbidden(f"{path}[{MIRROR}]", "may not add mirror pod annotation"))
    elif before is not None and after is None:
        causes.append(forbidden(f"{path}[{MIRROR}]", "may not remove mirror pod annotation"))
    elif before != after:
        causes.append(forbidden(f"{path}[{MIRROR}]", "may not update mirror pod annotation"))
    return causes


_TYPES = {"runtime/default": "RuntimeDefault", "": "RuntimeDefault", "unconfined": "Unconfined"}


def take_app_armor_annotations(spec: Mapping[str, Any], annotations: Mapping[str, str]) -> list[str]:
    """Set the AppArmor profile of each container that has one in an annotation only, in place; return warnings."""
    if not any(key.startswith(APP_ARMOR) for key in annotations):
        return []
    texts = []
    for field in ("initContainers", "containers"):
        for container in spec.get(field) or ():
            annotation = annotations.get(APP_ARMOR + (container.get("name") or ""))
            context = container.get("securityContext") or {}
            if annotation is None or context.get("appArmorProfile") is not None:
                continue
            key = APP_ARMOR + container["name"]
            texts.append(
                f'metadata.annotations[{key}]: deprecated since v1.30; use the "appArmorProfile" field instead'
            )
            profile = {"type": _TYPES.get(annotation, "Localhost")}
            if annotation.startswith("localhost/"):
                profile["localhostProfile"] = annotation.removeprefix("localhost/")
            elif annotation not in _TYPES:
                continue
            container["securityContext"] = {**context, "appArmorProfile": profile}
    return texts


def annotation_warnings(annotations: Mapping[str, str]) -> list[str]:
    """Return the warnings of annotations that do nothing any more."""
    prefixes = (SECCOMP_POD, SECCOMP_CONTAINER)
    text = 'non-functional in v1.27+; use the "seccompProfile" field instead'
    return [f"metadata.annotations[{key}]: {text}" for key in sorted(annotations) if key.startswith(prefixes)]


def validate_app_armor_agreement(path: str, annotations: Mapping[str, str], spec: Mapping[str, Any]) -> list[Cause]:
    """Return the causes of containers whose AppArmor annotation and field contradict each other."""
    causes = []
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or ()):
            annotation = annotations.get(APP_ARMOR + (container.get("name") or ""))
            own = (container.get("securityContext") or {}).get("appArmorProfile")
            if annotation is None or own is None:
                continue
            wanted = _TYPES.get(annotation, "Localhost")
            place = f"{path}.{field}[{index}].securityContext.appArmorProfile"
            if own.get("type") != wanted:
                causes.append(forbidden(f"{place}.type", "apparmor type in annotation and field must match"))
            elif wanted == "Localhost" and own.get("localhostProfile") != annotation.removeprefix("localhost/"):
                text = "apparmor profile in annotation and field must match"
                causes.append(forbidden(f"{place}.localhostProfile", text))
    return causes
