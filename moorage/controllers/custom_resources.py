"""Establishes CustomResourceDefinitions whose names are free, and takes away the objects of those that are deleted.

A definition is established at once: the API serves it in the moment in which its status says so
(moorage.api.custom_resources.publication), while upstream has to wait for several servers.
Source: apiextensions-apiserver pkg/controller/{status/naming_controller,establish,finalizer}.go (v1.37).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from moorage.controllers.rule import Controller, Decision, View
from moorage.objects.actions import Action, ConfirmNone, DeleteAll, SetStatus, Update
from moorage.objects.metadata import (
    Object,
    Ref,
    annotations_of,
    condition_of,
    finalizers_of,
    format_time,
    is_terminating,
    metadata_of,
    name_of,
)

RESOURCE: Final = "customresourcedefinitions.apiextensions.k8s.io"
APPROVED: Final = "api-approved.kubernetes.io"
CLEANUP: Final = "customresourcecleanup.apiextensions.k8s.io"

#: How long to wait for objects with finalizers of their own.
LOOK_AGAIN_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Observed:
    """A definition, and the other ones of its group."""

    definition: Object
    others: Sequence[Object]


def observe(view: View, ref: Ref) -> Observed | None:
    """Select a definition and those that may want the same names."""
    definition = view.get(RESOURCE, "", ref.name)
    if definition is None:
        return None
    group = definition["spec"]["group"]
    others = [
        each for each in view.list(RESOURCE) if each["spec"]["group"] == group and name_of(each) != name_of(definition)
    ]
    return Observed(definition, others)


def decide(observed: Observed, now: datetime) -> Decision:
    """Say which names a definition has, or go on with its deletion."""
    if is_terminating(observed.definition):
        return _decide_terminating(observed.definition, now)
    status = _named(observed, now)
    if status == (observed.definition.get("status") or {}):
        return Decision(because="its names are settled")
    accepted = next(each for each in status["conditions"] if each["type"] == "NamesAccepted")
    return Decision((_set(observed.definition, status),), because=f"{accepted['message']}: {accepted['reason']}")


def _decide_terminating(definition: Object, now: datetime) -> Decision:
    if CLEANUP not in finalizers_of(definition):
        return Decision(because="somebody else's finalizers hold it")
    if (condition_of(definition, "Established") or {}).get("status") != "True":
        return Decision((_without_finalizer(definition),), because="it never had objects")
    terminating = condition_of(definition, "Terminating") or {}
    if terminating.get("reason") == "InstanceDeletionCompleted":
        return Decision((_without_finalizer(definition),), because="its objects are gone")
    resource = name_of(definition)
    actions: list[Action] = [DeleteAll(resource, "")]
    if terminating.get("reason") != "InstanceDeletionInProgress":
        going = ("True", "InstanceDeletionInProgress", "CustomResource deletion is in progress")
        return Decision(
            (*actions, _set(definition, _with_condition(definition, "Terminating", going, now))),
            because="its objects are deleted first",
        )
    gone = ("False", "InstanceDeletionCompleted", "removed all instances")
    done = _set(definition, _with_condition(definition, "Terminating", gone, now))
    return Decision(
        (*actions, ConfirmNone(resource, ""), done),
        look_again_in=LOOK_AGAIN_SECONDS,
        because="its objects must be gone first",
    )


def _without_finalizer(definition: Object) -> Update:
    metadata = {**metadata_of(definition)}
    left = [each for each in finalizers_of(definition) if each != CLEANUP]
    if left:
        metadata["finalizers"] = left
    else:
        metadata.pop("finalizers", None)
    return Update(RESOURCE, {**definition, "metadata": metadata})


def _set(definition: Object, status: Object) -> SetStatus:
    return SetStatus(RESOURCE, {**definition, "status": status})


def _named(observed: Observed, now: datetime) -> dict[str, Any]:
    """Return the status with the names that the definition may have."""
    definition = observed.definition
    status: Mapping[str, Any] = definition.get("status") or {}
    wanted, had = definition["spec"]["names"], status.get("acceptedNames") or {}
    names, clashes = _accepted(wanted, had, observed.others)
    reason, message = clashes[-1] if clashes else ("NoConflicts", "no conflicts found")
    value = "False" if clashes else "True"
    approval = _approval(definition)
    if approval is not None:
        told = _with_condition(definition, "KubernetesAPIApprovalPolicyConformant", approval, now)
        definition = {**definition, "status": told}
    changed = _with_condition(definition, "NamesAccepted", (value, reason, message), now)
    established = condition_of(definition, "Established")
    if established is None or established.get("status") != "True":
        fine = ("True", "InitialNamesAccepted", "the initial names have been accepted")
        refused = ("False", "NotAccepted", "not all names are accepted")
        changed = _with_condition({**definition, "status": changed}, "Established", refused if clashes else fine, now)
    return {**changed, "acceptedNames": names}


def _approval(definition: Object) -> tuple[str, str, str] | None:
    """Return whether a definition in a group of Kubernetes' own is approved, None for those in other groups."""
    group = definition["spec"]["group"]
    if not group.endswith((".k8s.io", ".kubernetes.io")):
        return None
    text = str(annotations_of(definition).get(APPROVED) or "")
    if text.startswith("unapproved"):
        return "False", "UnapprovedAnnotation", f'not approved: "{text}"'
    if text:
        return "True", "ApprovedAnnotation", f"approved in {text}"
    page = "https://github.com/kubernetes/enhancements/pull/1111"
    why = f'protected groups must have approval annotation "{APPROVED}", see {page}'
    return "False", "MissingAnnotation", why


def _accepted(
    wanted: Mapping[str, Any], had: Mapping[str, Any], others: Iterable[Object]
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return the names that are free or were accepted before, and reason and message for each that is not."""
    taken, kinds = _taken(others)
    names: dict[str, Any] = {key: value for key, value in had.items() if value}
    clashes: list[tuple[str, str]] = []
    for key, used in (
        ("plural", taken),
        ("singular", taken),
        ("shortNames", taken),
        ("kind", kinds),
        ("listKind", kinds),
    ):
        value = wanted.get(key)
        texts = value if isinstance(value, list) else [value] if value else []
        known = had.get(key)
        mine = known if isinstance(known, list) else [known]
        clashing = [text for text in texts if text not in mine and text in used]
        if clashing:
            told = [f'"{text}" is already in use' for text in clashing]
            message = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
            clashes.append((f"{key[:1].upper()}{key[1:]}Conflict", message))
        elif value:
            names[key] = value
        else:
            names.pop(key, None)
    if wanted.get("categories"):
        names["categories"] = wanted["categories"]
    else:
        names.pop("categories", None)
    order = ("plural", "singular", "shortNames", "kind", "listKind", "categories")
    kept = {key: names[key] for key in order if key in names}
    return {"plural": "", "kind": "", **kept}, clashes


def _taken(others: Iterable[Object]) -> tuple[set[str], set[str]]:
    """Return the words and the kinds that other definitions of the group have."""
    words: set[str] = set()
    kinds: set[str] = set()
    for each in others:
        names = (each.get("status") or {}).get("acceptedNames") or {}
        words |= {names.get("plural") or "", names.get("singular") or "", *(names.get("shortNames") or ())}
        kinds |= {names.get("kind") or "", names.get("listKind") or ""}
    return words - {""}, kinds - {""}


def _with_condition(definition: Object, kind: str, told: tuple[str, str, str], now: datetime) -> dict[str, Any]:
    """Return the status with one condition as (status, reason, message); its time moves when its status does."""
    status: Mapping[str, Any] = definition.get("status") or {}
    value, reason, message = told
    conditions = list(status.get("conditions") or ())
    place = next((index for index, each in enumerate(conditions) if each["type"] == kind), len(conditions))
    old = conditions[place] if place < len(conditions) else {}
    since = old.get("lastTransitionTime") if old.get("status") == value else format_time(now)
    new = {"type": kind, "status": value, "lastTransitionTime": since, "reason": reason, "message": message}
    conditions[place : place + 1] = [new]
    return {**status, "conditions": conditions}


def _wakes(view: View, obj: Object) -> Iterable[Ref]:
    """Names become free or are taken: the other definitions of the group look again."""
    group = obj["spec"]["group"]
    return [
        Ref(RESOURCE, "", name_of(each))
        for each in view.list(RESOURCE)
        if each["spec"]["group"] == group and name_of(each) != name_of(obj)
    ]


CONTROLLER: Final = Controller(
    name="customresourcedefinition-controller",
    kind=RESOURCE,
    wakes={RESOURCE: _wakes},
    observe=observe,
    decide=decide,
)
