"""The volume claims of a StatefulSet's pods: their names, their making, and who owns them.

A claim outlives its pod unless the retention policy says otherwise. The policy is kept by owner references alone: the
garbage collector deletes a claim when its owner, the set or the condemned pod, is gone. Nothing here deletes a claim.
Source: pkg/controller/statefulset/stateful_set_utils.go and stateful_pod_control.go (v1.37).
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from moorage.objects.actions import Action, Create, Record, Update
from moorage.objects.metadata import (
    Object,
    controller_reference,
    is_terminating,
    labels_of,
    metadata_of,
    name_of,
    namespace_of,
    owners_of,
    uid_of,
)

RESOURCE = "persistentvolumeclaims"

#: What stands for a pod in owner references.
_POD = {"apiVersion": "v1", "kind": "Pod"}


class Retention(NamedTuple):
    """Whether claims go when the set is deleted, and when their pod is scaled away."""

    with_set: bool
    with_pod: bool


def retention_of(workload: Object) -> Retention:
    """Return the persistentVolumeClaimRetentionPolicy, by default to keep everything."""
    policy = workload["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    return Retention(policy.get("whenDeleted") == "Delete", policy.get("whenScaled") == "Delete")


def claim_name(template: Object, pod_name: str) -> str:
    """Return the name of the claim that a pod of the set gets from this template."""
    return f"{name_of(template)}-{pod_name}"


def templates_of(workload: Object) -> tuple[Object, ...]:
    """Return the volumeClaimTemplates in order."""
    return tuple(workload["spec"].get("volumeClaimTemplates") or ())


def claim_names(workload: Object, pod_name: str) -> Iterator[str]:
    """Yield the names of all claims of a pod."""
    return (claim_name(template, pod_name) for template in templates_of(workload))


def volumes_for(workload: Object, pod_name: str, planned: object) -> list[Any]:
    """Return the volumes of a pod: its claims first, then the template's own of other names (`planned`)."""
    volumes: list[Any] = [
        {"name": name_of(template), "persistentVolumeClaim": {"claimName": claim_name(template, pod_name)}}
        for template in templates_of(workload)
    ]
    taken = {volume["name"] for volume in volumes}
    own = planned if isinstance(planned, list) else []
    return volumes + [volume for volume in own if volume.get("name") not in taken]


def mounts_claims(workload: Object, pod: Object) -> bool:
    """Tell whether the pod has a volume for each of its claims."""
    volumes = {volume["name"]: volume for volume in (pod.get("spec") or {}).get("volumes") or ()}
    return all(
        (volumes.get(name_of(template), {}).get("persistentVolumeClaim") or {}).get("claimName")
        == claim_name(template, name_of(pod))
        for template in templates_of(workload)
    )


def claim_for(workload: Object, template: Object, pod_name: str) -> dict[str, Any]:
    """Return the claim that a wanted pod gets: its template, labelled by the set's selector, owned by policy."""
    kept = {key: value for key, value in metadata_of(template).items() if key in {"annotations", "finalizers"}}
    selector: Mapping[str, str] = (workload["spec"].get("selector") or {}).get("matchLabels") or {}
    metadata = {
        "name": claim_name(template, pod_name),
        "namespace": namespace_of(workload),
        **kept,
        "labels": {**labels_of(template), **selector},
    }
    if retention_of(workload).with_set:
        metadata["ownerReferences"] = [controller_reference(workload)]
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": template["spec"]}


def create_missing(workload: Object, pod_name: str, claims: Mapping[str, Object]) -> Iterator[Action]:
    """Yield the creation of each claim of the pod that is not among `claims`."""
    owner = name_of(workload)
    for template in templates_of(workload):
        name = claim_name(template, pod_name)
        if name in claims:
            continue
        about_claim = f"Create Claim {name} for Pod {pod_name} in StatefulSet {owner} failed error: {{error}}"
        about_pod = f"Create Pod {pod_name} in StatefulSet {owner} failed error: failed to create PVC {name}: {{error}}"
        yield Create(
            RESOURCE,
            claim_for(workload, template, pod_name),
            done=(
                Record(
                    workload, "SuccessfulCreate", f"Create Claim {name} Pod {pod_name} in StatefulSet {owner} success"
                ),
            ),
            failed=(
                Record(workload, "FailedCreate", about_claim, kind="Warning"),
                Record(workload, "FailedCreate", about_pod, kind="Warning"),
            ),
        )


def being_deleted(workload: Object, pod_name: str, claims: Mapping[str, Object]) -> str:
    """Return the name of a claim of the pod that is on its way out and must not be mounted again, "" if none is."""
    names = (name for name in claim_names(workload, pod_name) if name in claims)
    return next((name for name in names if is_terminating(claims[name])), "")


def is_missing(workload: Object, pod_name: str, claims: Mapping[str, Object]) -> bool:
    """Tell whether a claim of the pod does not exist."""
    return any(name not in claims for name in claim_names(workload, pod_name))


def is_stale(workload: Object, pod_name: str, claims: Mapping[str, Object]) -> bool:
    """Tell whether a claim of a pod yet to be created belongs to a former pod of the name, and will go with it."""
    if not retention_of(workload).with_pod:
        return False
    found = (claims[name] for name in claim_names(workload, pod_name) if name in claims)
    return any(_names(owner, _POD, pod_name) for claim in found for owner in owners_of(claim))


def retain(workload: Object, pod: Object, claims: Mapping[str, Object], *, condemned: bool) -> Iterator[Action]:
    """Yield what gives the existing claims of a pod the owners that the retention policy asks for."""
    for name in claim_names(workload, name_of(pod)):
        claim = claims.get(name)
        if claim is None:
            continue
        if has_foreign_controller(workload, pod, claim):
            text = (
                f"PersistentVolumeClaim {name} has a conflicting OwnerReference that acts as a manging controller, "
                "the retention policy is ignored for this claim"
            )
            yield Record(workload, "ConflictingController", text, kind="Warning")
        owners = owners_for(workload, pod, claim, condemned=condemned)
        if owners != list(owners_of(claim)):
            yield Update(RESOURCE, {**claim, "metadata": {**metadata_of(claim), "ownerReferences": owners}})


def is_retained(workload: Object, pod: Object, claims: Mapping[str, Object], *, condemned: bool) -> bool:
    """Tell whether the existing claims of a pod have the owners that the retention policy asks for."""
    found = (claims[name] for name in claim_names(workload, name_of(pod)) if name in claims)
    return all(owners_for(workload, pod, claim, condemned=condemned) == list(owners_of(claim)) for claim in found)


def owners_for(workload: Object, pod: Object, claim: Object, *, condemned: bool) -> list[Any]:
    """Return the owner references that a claim should have: foreign ones stay, the set's and the pod's follow policy.

    | whenScaled / whenDeleted | pod in range | pod condemned |
    |---|---|---|
    | Retain / Retain          | none         | none          |
    | Retain / Delete          | the set      | the set       |
    | Delete / Retain          | none         | the pod       |
    | Delete / Delete          | the set      | the pod       |
    """
    policy = retention_of(workload)
    foreign = has_foreign_controller(workload, pod, claim)
    owned_by_pod = policy.with_pod and condemned and not foreign
    owned_by_set = policy.with_set and not owned_by_pod and not foreign
    owners: list[Any] = list(owners_of(claim))
    owners = _with_owner(owners, workload, wanted=owned_by_set)
    return _with_owner(owners, {**_POD, "metadata": metadata_of(pod)}, wanted=owned_by_pod)


def has_foreign_controller(workload: Object, pod: Object, claim: Object) -> bool:
    """Tell whether somebody else manages the claim, so that a policy to delete it must not be followed.

    Somebody else is also a former set or pod of the same name.
    """
    if not any(retention_of(workload)):
        return False
    for owner in owners_of(claim):
        for ours, name in ((workload, name_of(workload)), (_POD, name_of(pod))):
            if _names(owner, ours, name):
                if owner.get("uid") != uid_of(workload if ours is workload else pod):
                    return True
                break
        else:
            if owner.get("controller"):
                return True
    return False


def _with_owner(owners: list[Any], owner: Object, *, wanted: bool) -> list[Any]:
    """Return the references with `owner` as a controller among them, or without it; one in place stays as it is."""
    uid = uid_of(owner)
    mine = [each for each in owners if uid and each.get("uid") == uid]
    if wanted and any(each.get("controller") for each in mine):
        return owners
    others = [each for each in owners if each not in mine]
    return [*others, controller_reference(owner)] if wanted else others


def _names(reference: Object, kind: Object, name: str) -> bool:
    """Tell whether an owner reference means an object of this kind and name, whatever its uid."""
    return (
        reference.get("name") == name
        and reference.get("kind") == kind["kind"]
        and reference.get("apiVersion") == kind["apiVersion"]
    )
