"""What a node may do: what its own pods refer to, and nothing of the others."""

import pytest

from moorage.api.authorization import Rbac
from moorage.api.bootstrap_policy import bootstrap_objects
from moorage.api.node_authorizer import NodeAuthorizer
from moorage.api.request import User
from moorage.objects.attributes import Attributes
from moorage.objects.errors import Forbidden
from tests.api.objects_at_hand import ObjectsAtHand

NODE = User("system:node:n1", ("system:nodes", "system:authenticated"))


@pytest.fixture(scope="module")
def authorizer():
    objects = ObjectsAtHand()
    for resource, obj in bootstrap_objects():
        objects.put(resource, obj)
    spec = {
        "nodeName": "n1",
        "serviceAccountName": "robot",
        "containers": [{"name": "c", "envFrom": [{"secretRef": {"name": "env"}}]}],
        "volumes": [
            {"name": "a", "secret": {"secretName": "mounted"}},
            {"name": "b", "projected": {"sources": [{"configMap": {"name": "projected"}}]}},
            {"name": "c", "persistentVolumeClaim": {"claimName": "data"}},
        ],
    }
    objects.put("pods", {"metadata": {"name": "mine", "namespace": "ns"}, "spec": spec})
    other = {"nodeName": "n2", "volumes": [{"name": "a", "secret": {"secretName": "foreign"}}]}
    objects.put("pods", {"metadata": {"name": "other", "namespace": "ns"}, "spec": other})
    objects.put(
        "persistentvolumeclaims", {"metadata": {"name": "data", "namespace": "ns"}, "spec": {"volumeName": "pv"}}
    )
    return NodeAuthorizer(Rbac(objects), objects)


def about(verb, resource, name="", *, group="", subresource="", namespace="ns"):
    return Attributes(verb, group, "v1", resource, subresource, namespace, name)


LEASES = {"group": "coordination.k8s.io", "namespace": "kube-node-lease"}


@pytest.mark.parametrize(
    ("attributes", "allowed"),
    [
        (about("get", "secrets", "mounted"), True),
        (about("get", "secrets", "env"), True),
        (about("get", "secrets", "foreign"), False),
        (about("list", "secrets"), False),
        (about("update", "secrets", "mounted"), False),
        (about("watch", "configmaps", "projected"), True),
        (about("get", "persistentvolumeclaims", "data"), True),
        (about("get", "persistentvolumes", "pv", namespace=""), True),
        (about("get", "persistentvolumes", "else", namespace=""), False),
        (about("create", "serviceaccounts", "robot", subresource="token"), True),
        (about("create", "serviceaccounts", "default", subresource="token"), False),
        (about("update", "leases", "n1", **LEASES), True),
        (about("update", "leases", "n2", **LEASES), False),
        (about("create", "leases", **LEASES), True),
        (about("patch", "nodes", "n1", subresource="status", namespace=""), True),
        (about("watch", "pods", namespace=""), True),
        (about("delete", "namespaces", "ns", namespace=""), False),
    ],
)
def test_a_node_may_what_its_pods_need(authorizer, attributes, allowed):
    assert authorizer.judge(NODE, attributes).allowed is allowed


async def test_a_refusal_has_upstreams_words(authorizer):
    with pytest.raises(Forbidden) as refusal:
        await authorizer.authorize(NODE, about("get", "secrets", "foreign"))
    assert refusal.value.message == (
        'secrets "foreign" is forbidden: User "system:node:n1" cannot get resource "secrets" in API group "" '
        "in the namespace \"ns\": node: no relationship found between node 'n1' and this object"
    )
    with pytest.raises(Forbidden) as refusal:
        await authorizer.authorize(NODE, about("list", "secrets"))
    assert refusal.value.message.endswith("node: No Object name found")


def test_others_are_judged_by_their_roles(authorizer):
    assert authorizer.judge(User("root", ("system:masters",)), about("delete", "nodes", "n1", namespace="")).allowed
    assert not authorizer.judge(User("system:node:n1"), about("get", "secrets", "mounted")).allowed
