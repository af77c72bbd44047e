"""The rules for metadata, the same for all kinds but for the form of the name.

Source: apimachinery/pkg/api/validation/objectmeta.go, pkg/apis/core/validation (v1.37).
"""

from collections.abc import Mapping
from typing import Any

from moorage.objects.addresses import ip_problems
from moorage.objects.errors import Cause
from moorage.objects.kinds import group_order
from moorage.objects.metadata import Object
from moorage.objects.validation import (
    Check,
    Problems,
    dns1123_label_problems,
    dns1123_subdomain_problems,
    each_invalid,
    forbidden,
    invalid,
    label_value_problems,
    path_segment_problems,
    qualified_name_problems,
    required,
    too_long,
)

#: The longest keys and values of all annotations together.
ANNOTATIONS_MOST_BYTES = 256 * 1024

#: Finalizers by which the garbage collector is asked to treat dependents before their owner goes.
FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"

#: Finalizers that need no domain.
STANDARD_FINALIZERS = frozenset({"kubernetes", ORPHAN, FOREGROUND})

_IMMUTABLE = "field is immutable"


def _subdomain_in_bytes(text: str) -> Problems:
    problems = dns1123_subdomain_problems(text)
    return tuple(problem.replace("253 characters", "253 bytes") for problem in problems)


def _judged_by_its_kind(text: str) -> Problems:
    """Accept every name here: what it must be depends on the object's other fields."""
    del text
    return ()


#: The form of names that are not DNS subdomains, by `kind.group`.
_NAME_RULES: Mapping[str, Check] = {
    "Event.": path_segment_problems,
    "CertificateSigningRequest.certificates.k8s.io": path_segment_problems,
    "PodDisruptionBudget.policy": path_segment_problems,
    "ClusterRole.rbac.authorization.k8s.io": path_segment_problems,
    "ClusterRoleBinding.rbac.authorization.k8s.io": path_segment_problems,
    "Role.rbac.authorization.k8s.io": path_segment_problems,
    "RoleBinding.rbac.authorization.k8s.io": path_segment_problems,
    "APIService.apiregistration.k8s.io": path_segment_problems,
    "ClusterTrustBundle.certificates.k8s.io": _judged_by_its_kind,
    "Namespace.": dns1123_label_problems,
    "Service.": dns1123_label_problems,
    "StatefulSet.apps": dns1123_label_problems,
    "ReplicationController.": _subdomain_in_bytes,
    "DeviceClass.resource.k8s.io": _subdomain_in_bytes,
    "IPAddress.networking.k8s.io": ip_problems,
}

#: Built-in groups whose objects may have finalizers without a domain: they are checked by the generic rules alone.
_GENERIC_GROUPS = frozenset({"apiextensions.k8s.io", "apiregistration.k8s.io"})


def name_rule_for(kind: str, group: str) -> Check:
    """Return the check that names of this kind must pass."""
    return _NAME_RULES.get(f"{kind}.{group}", dns1123_subdomain_problems)


def validate_object_meta(
    metadata: Object,
    *,
    namespaced: bool,
    kind: str = "",
    group: str = "",
    name_rule: Check | None = None,
    path: str = "metadata",
) -> list[Cause]:
    """Return every broken rule of the metadata; the name's form is `name_rule`, or the kind's own.

    A generateName is not judged: what was made of it is.
    """
    causes: list[Cause] = []
    rule = name_rule or name_rule_for(kind, group)
    if not (name := metadata.get("name")):
        causes.append(required(f"{path}.name", "name or generateName is required"))
    elif problems := rule(name):
        causes += each_invalid(f"{path}.name", name, problems)
    causes += _validate_namespace(f"{path}.namespace", metadata.get("namespace") or "", namespaced=namespaced)
    if (generation := metadata.get("generation") or 0) < 0:
        causes.append(invalid(f"{path}.generation", generation, "must be greater than or equal to 0"))
    if labels := metadata.get("labels"):
        causes += _validate_labels(f"{path}.labels", labels)
    if annotations := metadata.get("annotations"):
        causes += validate_annotations(f"{path}.annotations", annotations)
    if owners := metadata.get("ownerReferences"):
        causes += _validate_owners(f"{path}.ownerReferences", owners)
    if finalizers := metadata.get("finalizers"):
        causes += validate_finalizers(f"{path}.finalizers", finalizers)
        if not group or (group in group_order() and group not in _GENERIC_GROUPS):
            causes += _validate_kube_finalizers(f"{path}.finalizers", finalizers)
    return causes


def _validate_namespace(path: str, namespace: str, *, namespaced: bool) -> list[Cause]:
    if not namespaced:
        return [forbidden(path, "not allowed on this type")] if namespace else []
    return each_invalid(path, namespace, dns1123_label_problems(namespace)) if namespace else [required(path)]


def validate_object_meta_update(new: Object, old: Object, *, path: str = "metadata") -> list[Cause]:
    """Return what of the metadata may not change so. `validate_object_meta` runs too."""
    causes: list[Cause] = []
    if old.get("deletionTimestamp"):
        before = old.get("finalizers") or ()
        added = [name for name in new.get("finalizers") or () if name not in before]
        if added:
            shown = ", ".join(f'"{name}"' for name in sorted(added))
            causes.append(
                forbidden(
                    f"{path}.finalizers",
                    "no new finalizers can be added if the object is being deleted, "
                    f"found new finalizers []string{{{shown}}}",
                )
            )
    if (new.get("generation") or 0) < (old.get("generation") or 0):
        causes.append(invalid(f"{path}.generation", new.get("generation") or 0, "must not be decremented"))
    fields = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
    causes += [
        invalid(f"{path}.{field}", new.get(field), _IMMUTABLE) for field in fields if new.get(field) != old.get(field)
    ]
    return causes


def _validate_labels(path: str, labels: Mapping[str, str]) -> list[Cause]:
    causes: list[Cause] = []
    for key, value in labels.items():
        if problems := qualified_name_problems(key):
            causes += each_invalid(path, key, problems)
        if value and (problems := label_value_problems(value)):
            causes += each_invalid(path, value, problems)
    return causes


def validate_annotations(path: str, annotations: Mapping[str, str]) -> list[Cause]:
    """Return the causes of annotations with wrong keys, or that are too large together."""
    causes: list[Cause] = []
    size = 0
    for key, value in annotations.items():
        if problems := qualified_name_problems(key.lower()):
            causes += each_invalid(path, key, problems)
        size += len(key.encode()) + len(value.encode() if value else b"")
    if size > ANNOTATIONS_MOST_BYTES:
        causes.append(too_long(path, ANNOTATIONS_MOST_BYTES))
    return causes


def _validate_owners(path: str, owners: list[Mapping[str, Any]]) -> list[Cause]:
    causes: list[Cause] = []
    controller = ""
    for index, owner in enumerate(owners):
        causes += _validate_owner(f"{path}[{index}]", owner)
        if owner.get("controller"):
            named = f"{owner.get('kind')}/{owner.get('name')}"
            if controller:
                causes.append(
                    invalid(
                        path,
                        [_printed_owner(each) for each in owners],
                        'Only one reference can have Controller set to true. Found "true" in references for '
                        f"{controller} and {named}",
                    )
                )
            else:
                controller = named
    return causes


def _validate_owner(path: str, owner: Mapping[str, Any]) -> list[Cause]:
    causes: list[Cause] = []
    group, _, version = (owner.get("apiVersion") or "").rpartition("/")
    if not version:
        causes.append(required(f"{path}.apiVersion", "must not be empty"))
    if "/" in group:
        causes.append(invalid(f"{path}.apiVersion", owner["apiVersion"], "must be <group>/<version> or <version>"))
    causes += [
        required(f"{path}.{field}", "must not be empty") for field in ("kind", "name", "uid") if not owner.get(field)
    ]
    if (group, owner.get("kind")) in {("", "Event"), ("events.k8s.io", "Event")}:
        shown = f"{group}/{version}, Kind={owner['kind']}"
        causes.append(invalid(path, _printed_owner(owner), f"{shown} is disallowed from being an owner"))
    return causes


def _printed_owner(owner: Mapping[str, Any]) -> dict[str, Any]:
    always = {field: owner.get(field) or "" for field in ("apiVersion", "kind", "name", "uid")}
    return always | {
        field: owner[field] for field in ("controller", "blockOwnerDeletion") if owner.get(field) is not None
    }


def validate_finalizers(path: str, finalizers: list[str]) -> list[Cause]:
    """Return the causes of finalizers with wrong names, or that contradict each other."""
    causes: list[Cause] = []
    for finalizer in finalizers:
        if problems := qualified_name_problems(finalizer):
            causes += each_invalid(path, finalizer, problems)
    if ORPHAN in finalizers and FOREGROUND in finalizers:
        causes.append(invalid(path, finalizers, "finalizer orphan and foregroundDeletion cannot be both set"))
    return causes


def _validate_kube_finalizers(path: str, finalizers: list[str]) -> list[Cause]:
    return [
        invalid(f"{path}[{index}]", name, "name is neither a standard finalizer name nor is it fully qualified")
        for index, name in enumerate(finalizers)
        if "/" not in name and name not in STANDARD_FINALIZERS
    ]
