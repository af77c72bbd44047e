"""The roles and bindings that a cluster starts with."""

import pytest

from moorage.api.authorization import Rbac
from moorage.api.bootstrap_policy import bootstrap_objects
from moorage.api.request import User
from moorage.objects.attributes import Attributes
from moorage.objects.policy_rules import aggregated_rules
from tests.api.objects_at_hand import ObjectsAtHand

GROUP = "rbac.authorization.k8s.io"


@pytest.fixture(scope="module")
def rbac():
    objects = ObjectsAtHand()
    for resource, obj in bootstrap_objects():
        objects.put(resource, obj)
    for user in ("admin", "edit", "view"):
        subject = {"kind": "User", "name": user, "apiGroup": GROUP}
        objects.put(
            f"rolebindings.{GROUP}",
            {
                "metadata": {"name": user, "namespace": "ns"},
                "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": user},
                "subjects": [subject],
            },
        )
    return Rbac(objects)


def test_every_binding_names_a_role_that_is_there():
    there = {(obj["kind"], obj["metadata"].get("namespace"), obj["metadata"]["name"]) for _, obj in bootstrap_objects()}
    for _, obj in bootstrap_objects():
        if role := obj.get("roleRef"):
            home = obj["metadata"].get("namespace") if role["kind"] == "Role" else None
            assert (role["kind"], home, role["name"]) in there


@pytest.mark.parametrize(
    ("user", "allowed", "attributes"),
    [
        ("view", True, Attributes("list", "", resource="pods", namespace="ns")),
        ("view", False, Attributes("get", "", resource="secrets", namespace="ns")),
        ("view", False, Attributes("list", "", resource="pods", namespace="other")),
        ("edit", True, Attributes("get", "", resource="secrets", namespace="ns")),
        ("edit", True, Attributes("list", "", resource="pods", namespace="ns")),
        ("edit", True, Attributes("patch", "apps", resource="deployments", subresource="scale", namespace="ns")),
        ("edit", False, Attributes("create", GROUP, resource="roles", namespace="ns")),
        ("admin", True, Attributes("create", GROUP, resource="roles", namespace="ns")),
        ("admin", True, Attributes("create", "apps", resource="statefulsets", namespace="ns")),
        ("admin", False, Attributes("update", "", resource="resourcequotas", namespace="ns")),
        (
            "system:kube-scheduler",
            True,
            Attributes("create", "", resource="pods", subresource="binding", namespace="x"),
        ),
        ("system:serviceaccount:kube-system:job-controller", True, Attributes("update", "batch", resource="jobs")),
        (
            "system:serviceaccount:kube-system:job-controller",
            False,
            Attributes("update", "apps", resource="daemonsets"),
        ),
    ],
)
def test_users_may_what_their_roles_gather(rbac, user, allowed, attributes):
    assert rbac.judge(User(user), attributes).allowed is allowed


def test_everybody_may_look_around_but_only_the_known_may_discover(rbac):
    nobody = User("system:anonymous", ("system:unauthenticated",))
    jane = User("jane", ("system:authenticated",))
    assert rbac.judge(nobody, Attributes("get", path="/version")).allowed
    assert not rbac.judge(nobody, Attributes("get", path="/apis/apps/v1")).allowed
    verdict = rbac.judge(jane, Attributes("get", path="/apis/apps/v1"))
    assert verdict.reason == (
        'RBAC: allowed by ClusterRoleBinding "system:discovery" of ClusterRole "system:discovery" '
        'to Group "system:authenticated"'
    )


def test_a_role_gathers_the_rules_of_others_once_and_never_its_own():
    rule = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
    parts = [{"metadata": {"name": name, "labels": {"a": "b"}}, "rules": [rule]} for name in ("x", "y")]
    whole = {
        "metadata": {"name": "w", "labels": {"a": "b"}},
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]},
        "rules": [{"verbs": ["*"]}],
    }
    assert aggregated_rules(whole, [whole, *parts]) == [rule]
    assert aggregated_rules(parts[0], [whole]) is None
