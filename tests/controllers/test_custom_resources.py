"""Definitions get their names if these are free, and go when their objects are gone."""

from datetime import UTC, datetime
from typing import Any

from moorage.controllers.custom_resources import CLEANUP, CONTROLLER, RESOURCE, Observed, decide
from moorage.objects.actions import DeleteAll, SetStatus, Update
from moorage.objects.metadata import Ref, condition_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def definition(plural: str = "widgets", kind: str = "Widget", **names: Any) -> dict[str, Any]:
    wanted = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List", **names}
    status = {"acceptedNames": {"plural": "", "kind": ""}, "conditions": None, "storedVersions": ["v1"]}
    metadata = {"name": f"{plural}.example.com", "uid": "u"}
    return {"metadata": metadata, "spec": {"group": "example.com", "names": wanted}, "status": status}


def settled(obj: dict[str, Any], *others: dict[str, Any]) -> dict[str, Any]:
    (action,) = decide(Observed(obj, others), NOW).actions
    assert isinstance(action, SetStatus)
    return dict(action.obj)


def test_free_names_are_accepted_and_the_definition_established() -> None:
    made = settled(definition(shortNames=["w"], categories=["all"]))
    assert made["status"]["acceptedNames"] == made["spec"]["names"]
    assert [(each["type"], each["status"]) for each in made["status"]["conditions"]] == [
        ("NamesAccepted", "True"),
        ("Established", "True"),
    ]
    assert decide(Observed(made, ()), NOW).actions == ()


def test_names_of_others_are_refused_and_the_rest_is_kept() -> None:
    first = settled(definition())
    second = settled(definition("gadgets", "Widget"), first)
    assert second["status"]["acceptedNames"] == {"plural": "gadgets", "kind": ""}
    accepted = condition_of(second, "NamesAccepted") or {}
    assert (accepted["reason"], accepted["message"]) == ("ListKindConflict", '"WidgetList" is already in use')
    assert (condition_of(second, "Established") or {})["status"] == "False"


def test_groups_of_kubernetes_tell_who_approved() -> None:
    ours = definition()
    ours["spec"]["group"] = "x.k8s.io"
    ours["metadata"]["annotations"] = {"api-approved.kubernetes.io": "https://a.b/c"}
    first, *_ = settled(ours)["status"]["conditions"]
    assert (first["type"], first["message"]) == ("KubernetesAPIApprovalPolicyConformant", "approved in https://a.b/c")


def test_a_change_wakes_the_others_of_its_group() -> None:
    class View:
        def list(self, *_: object) -> list[dict[str, Any]]:
            return [definition(), definition("gadgets", "Gadget")]

    assert list(CONTROLLER.wakes[RESOURCE](View(), definition())) == [Ref(RESOURCE, "", "gadgets.example.com")]  # type: ignore[arg-type]


def test_objects_go_before_their_definition() -> None:
    going = settled(definition())
    going["metadata"] = {**going["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [CLEANUP]}
    delete, status = decide(Observed(going, ()), NOW).actions
    assert delete == DeleteAll("widgets.example.com", "")
    assert isinstance(status, SetStatus)
    *_, status = decide(Observed(status.obj, ()), NOW).actions
    assert isinstance(status, SetStatus)
    assert (condition_of(status.obj, "Terminating") or {})["reason"] == "InstanceDeletionCompleted"
    (update,) = decide(Observed(status.obj, ()), NOW).actions
    assert isinstance(update, Update)
    assert "finalizers" not in update.obj["metadata"]
