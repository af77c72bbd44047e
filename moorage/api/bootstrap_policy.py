"""The roles and bindings that every cluster starts with, from data/bootstrap-policy.json.

A rule there is [verbs, groups, resources], with names of objects as a fourth part, or [verbs, paths]; several of a part
stand between commas, the core group is empty. `aggregates` and `joins` name the aggregation that a role is the result
of, or a part of. A subject is kind/name or ServiceAccount/namespace/name.
Source: plugin/pkg/auth/authorizer/rbac/bootstrappolicy (v1.37).
"""

import os.path
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from moorage.objects.policy_rules import aggregated_rules

_GROUP: Final = "rbac.authorization.k8s.io"
_API_VERSION: Final = f"{_GROUP}/v1"
_DATA: Final = os.path.join(os.path.dirname(__file__), "data", "bootstrap-policy.json")

#: How often gathered rules are gathered again: admin takes from edit, which takes from view.
_DEPTH: Final = 3


def bootstrap_objects() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (resource id, object) of the bootstrap policy, in an order in which it can be created.

    Roles that gather rules already have what they will gather, so that they serve before any controller runs.
    Reads and parses the data each time: call it once, after the API is up.
    """
    with open(_DATA, "rb") as file:
        policy: Mapping[str, Any] = orjson.loads(file.read())
    for role in _aggregated([_cluster_role(name, row) for name, row in policy["clusterRoles"].items()]):
        yield f"clusterroles.{_GROUP}", role
    for name, subjects in policy["clusterRoleBindings"].items():
        yield f"clusterrolebindings.{_GROUP}", _binding("ClusterRoleBinding", name, name, subjects)
    for namespace, roles in policy["roles"].items():
        for name, rules in roles.items():
            yield f"roles.{_GROUP}", {**_object("Role", name, namespace), "rules": [*map(_rule, rules)]}
    for namespace, bindings in policy["roleBindings"].items():
        for name, (role, *subjects) in bindings.items():
            yield f"rolebindings.{_GROUP}", _binding("RoleBinding", name, role, subjects, namespace)


def _object(kind: str, name: str, namespace: str = "") -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    metadata["labels"] = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    metadata["annotations"] = {f"{_GROUP.replace('k8s.io', 'kubernetes.io')}/autoupdate": "true"}
    return {"apiVersion": _API_VERSION, "kind": kind, "metadata": metadata}


def _cluster_role(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    role = _object("ClusterRole", name)
    if joined := row.get("joins"):
        role["metadata"]["labels"][f"{_GROUP}/aggregate-to-{joined}"] = "true"
    if gathered := row.get("aggregates"):
        selector = {"matchLabels": {f"{_GROUP}/aggregate-to-{gathered}": "true"}}
        role["aggregationRule"] = {"clusterRoleSelectors": [selector]}
    role["rules"] = [*map(_rule, row["rules"])]
    return role


def _rule(row: Sequence[str]) -> dict[str, Any]:
    verbs, *rest = (sorted(part.split(",")) for part in row)
    if len(rest) == 1:
        return {"verbs": verbs, "nonResourceURLs": rest[0]}
    rule: dict[str, Any] = {"verbs": verbs, "apiGroups": rest[0], "resources": rest[1]}
    if len(rest) > 2:
        rule["resourceNames"] = rest[2]
    return rule


def _aggregated(roles: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    for _ in range(_DEPTH):
        for role in roles:
            rules = aggregated_rules(role, roles)
            if rules is not None:
                role["rules"] = rules
    return roles


def _binding(kind: str, name: str, role: str, subjects: Iterable[str], namespace: str = "") -> dict[str, Any]:
    binding = _object(kind, name, namespace)
    role_kind = "ClusterRole" if kind == "ClusterRoleBinding" else "Role"
    binding["roleRef"] = {"apiGroup": _GROUP, "kind": role_kind, "name": role}
    if found := [*map(_subject, subjects)]:
        binding["subjects"] = found
    return binding


def _subject(text: str) -> dict[str, str]:
    kind, _, name = text.partition("/")
    if kind == "ServiceAccount":
        namespace, _, name = name.partition("/")
        return {"kind": kind, "name": name, "namespace": namespace}
    return {"apiGroup": _GROUP, "kind": kind, "name": name}
