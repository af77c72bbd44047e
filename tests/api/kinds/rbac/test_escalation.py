"""Nobody grants more than they have."""

from datetime import UTC, datetime
from typing import Any

import pytest

from moorage.api.kinds.rbac.escalation import check_binding, check_role
from moorage.api.request import Request, User
from moorage.objects.errors import Forbidden, NotFound
from moorage.objects.kinds import builtin
from tests.api.objects_at_hand import ObjectsAtHand

GROUP = "rbac.authorization.k8s.io"
MALLORY = User("mallory", ("system:authenticated",))
PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}
SECRETS = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}


def a_role(name: str, *rules: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "n"}, "rules": list(rules)}


def a_binding(name: str, role: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "n"},
        "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": role},
        "subjects": [{"kind": "User", "name": "mallory", "apiGroup": GROUP}],
    }


def granted(*rules: dict[str, Any]) -> ObjectsAtHand:
    """Return a cluster in which mallory has these rules in the namespace n."""
    objects = ObjectsAtHand()
    objects.put(f"roles.{GROUP}", a_role("own", *rules))
    objects.put(f"rolebindings.{GROUP}", a_binding("own", "own"))
    return objects


def a_request(plural: str, user: User = MALLORY, verb: str = "create", name: str = "") -> Request:
    return Request(user, verb, builtin(f"{plural}.{GROUP}"), "n", name, datetime.now(UTC))


def test_a_role_within_what_its_author_has_is_fine() -> None:
    check_role(a_role("r", {**PODS, "verbs": ["get"]}), None, a_request("roles"), granted(PODS))


def test_a_role_beyond_what_its_author_has_is_refused_with_what_is_missing() -> None:
    with pytest.raises(Forbidden) as refused:
        check_role(a_role("r", PODS, {**SECRETS, "resourceNames": ["a"]}), None, a_request("roles"), granted(PODS))
    message = refused.value.status()["message"]
    assert message.startswith(f'roles.{GROUP} "r" is forbidden: user "mallory" (groups=["system:authenticated"])')
    assert message.endswith('{APIGroups:[""], Resources:["secrets"], ResourceNames:["a"], Verbs:["get"]}')


def test_masters_and_who_may_escalate_grant_what_they_like() -> None:
    role = a_role("r", SECRETS)
    check_role(role, None, a_request("roles", User("root", ("system:masters",))), ObjectsAtHand())
    may = {"apiGroups": [GROUP], "resources": ["roles"], "verbs": ["escalate"]}
    check_role(role, None, a_request("roles"), granted(may))


def test_a_change_that_leaves_the_rules_alone_is_judged_too() -> None:
    old = a_role("r", SECRETS)
    new = {**old, "metadata": {**old["metadata"], "labels": {"a": "b"}}}
    with pytest.raises(Forbidden):
        check_role(new, old, a_request("roles", verb="update", name="r"), granted(PODS))


def test_the_garbage_collector_may_take_owners_away() -> None:
    old = a_role("r", SECRETS)
    new = {**old, "metadata": {**old["metadata"], "finalizers": ["a/b"]}}
    check_role(new, old, a_request("roles", verb="update", name="r"), granted(PODS))


def test_whoever_gathers_roles_must_have_everything() -> None:
    role = {"metadata": {"name": "r"}, "rules": [], "aggregationRule": {"clusterRoleSelectors": [{}]}}
    with pytest.raises(Forbidden, match="must have cluster-admin privileges to use the aggregationRule"):
        check_role(role, None, a_request("clusterroles"), granted(PODS))


def test_binding_a_role_needs_its_rules_or_the_right_to_bind_it() -> None:
    objects = granted(PODS)
    objects.put(f"roles.{GROUP}", a_role("strong", SECRETS))
    with pytest.raises(Forbidden, match="not currently held"):
        check_binding(a_binding("b", "strong"), None, a_request("rolebindings"), objects)
    may = {"apiGroups": [GROUP], "resources": ["roles"], "resourceNames": ["strong"], "verbs": ["bind"]}
    objects.put(f"roles.{GROUP}", a_role("own", PODS, may))
    check_binding(a_binding("b", "strong"), None, a_request("rolebindings"), objects)


def test_a_role_that_is_not_there_cannot_be_bound_without_the_right_to() -> None:
    with pytest.raises(NotFound):
        check_binding(a_binding("b", "absent"), None, a_request("rolebindings"), granted(PODS))
