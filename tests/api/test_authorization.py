"""RBAC: who may do what, why, and in which words it is refused."""

import pytest

from moorage.api.authorization import Rbac, missing_rules
from moorage.api.request import User
from moorage.objects.attributes import Attributes
from moorage.objects.errors import Forbidden
from tests.api.objects_at_hand import ObjectsAtHand

GROUP = "rbac.authorization.k8s.io"
JANE = User("jane", ("dev", "system:authenticated"))
PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}


def binding(name, role, *subjects, kind="Role", namespace="ns"):
    return {
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"apiGroup": GROUP, "kind": kind, "name": role},
        "subjects": list(subjects),
    }


def objects_with(*rules, subject):
    objects = ObjectsAtHand()
    objects.put(f"roles.{GROUP}", {"metadata": {"name": "r", "namespace": "ns"}, "rules": list(rules)})
    objects.put(f"rolebindings.{GROUP}", binding("b", "r", subject))
    return objects


@pytest.mark.parametrize(
    ("rule", "attributes", "allowed"),
    [
        (PODS, Attributes("get", "", resource="pods", namespace="ns"), True),
        (PODS, Attributes("delete", "", resource="pods", namespace="ns"), False),
        (PODS, Attributes("get", "apps", resource="pods", namespace="ns"), False),
        (PODS, Attributes("get", "", resource="pods", namespace="other"), False),
        (PODS, Attributes("get", "", resource="pods", subresource="log", namespace="ns"), False),
        ({**PODS, "resources": ["pods/log"]}, Attributes("get", "", "v1", "pods", "log", "ns"), True),
        ({**PODS, "resources": ["*/log"]}, Attributes("get", "", "v1", "pods", "log", "ns"), True),
        ({**PODS, "resourceNames": ["a"]}, Attributes("get", "", "v1", "pods", "", "ns", "a"), True),
        ({**PODS, "resourceNames": ["a"]}, Attributes("list", "", "v1", "pods", "", "ns"), False),
        ({"verbs": ["get"], "nonResourceURLs": ["/x/*"]}, Attributes("get", path="/x/y"), False),
    ],
)
def test_a_rule_covers_what_it_names(rule, attributes, allowed):
    rbac = Rbac(objects_with(rule, subject={"kind": "Group", "name": "dev"}))
    assert rbac.judge(JANE, attributes).allowed is allowed


async def test_a_refusal_has_upstreams_words():
    rbac = Rbac(ObjectsAtHand())
    with pytest.raises(Forbidden) as refusal:
        await rbac.authorize(JANE, Attributes("list", "", "v1", "pods", "", "ns"))
    assert refusal.value.message == (
        'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "ns"'
    )
    with pytest.raises(Forbidden) as refusal:
        await rbac.authorize(JANE, Attributes("get", path="/metrics"))
    assert refusal.value.message == 'forbidden: User "jane" cannot get path "/metrics"'


def test_a_verdict_says_which_binding_allowed_it():
    objects = objects_with(PODS, subject={"kind": "ServiceAccount", "name": "robot", "namespace": "home"})
    verdict = Rbac(objects).judge(
        User("system:serviceaccount:home:robot"), Attributes("get", "", resource="pods", namespace="ns")
    )
    assert verdict.reason == ('RBAC: allowed by RoleBinding "b/ns" of Role "r" to ServiceAccount "robot/home"')


def test_a_change_of_roles_counts_at_once():
    objects = objects_with(subject={"kind": "User", "name": "jane"})
    rbac, asked = Rbac(objects), Attributes("get", "", resource="pods", namespace="ns")
    assert not rbac.judge(JANE, asked).allowed
    objects.put(f"roles.{GROUP}", {"metadata": {"name": "r", "namespace": "ns"}, "rules": [PODS]})
    assert rbac.judge(JANE, asked).allowed


def test_masters_may_everything():
    assert Rbac(ObjectsAtHand()).judge(User("x", ("system:masters",)), Attributes("delete", path="/")).allowed


def test_nobody_grants_what_is_missing():
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
    assert missing_rules([everything], [PODS]) == []
    assert missing_rules([PODS], [{**PODS, "verbs": ["get", "delete"]}]) == [{**PODS, "verbs": ["delete"]}]
    assert missing_rules([{**PODS, "resourceNames": ["a"]}], [PODS])
