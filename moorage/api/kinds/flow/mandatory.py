"""The flow schemas and priority levels that every cluster has, and whose meaning nobody may change.

Source: pkg/apis/flowcontrol/bootstrap/default.go (v1.37).
"""

from collections.abc import Iterator, Mapping
from typing import Any

_EVERYTHING: Mapping[str, Any] = {
    "resourceRules": [
        {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}
    ],
    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
}


def _groups(*names: str) -> list[dict[str, Any]]:
    return [{"kind": "Group", "group": {"name": name}} for name in names]


#: The specs of mandatory flow schemas by name.
FLOW_SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "exempt": {
        "priorityLevelConfiguration": {"name": "exempt"},
        "matchingPrecedence": 1,
        "rules": [{"subjects": _groups("system:masters"), **_EVERYTHING}],
    },
    "catch-all": {
        "priorityLevelConfiguration": {"name": "catch-all"},
        "matchingPrecedence": 10000,
        "distinguisherMethod": {"type": "ByUser"},
        "rules": [{"subjects": _groups("system:unauthenticated", "system:authenticated"), **_EVERYTHING}],
    },
}

#: The specs of mandatory priority levels by name; those of `exempt` may be tuned.
PRIORITY_LEVELS: Mapping[str, Mapping[str, Any]] = {
    "exempt": {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}},
    "catch-all": {
        "type": "Limited",
        "limited": {"nominalConcurrencyShares": 5, "lendablePercent": 0, "limitResponse": {"type": "Reject"}},
    },
}


def mandatory_objects() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (resource id, object) of what every cluster has."""
    group = "flowcontrol.apiserver.k8s.io"
    for plural, kind, specs in (
        ("prioritylevelconfigurations", "PriorityLevelConfiguration", PRIORITY_LEVELS),
        ("flowschemas", "FlowSchema", FLOW_SCHEMAS),
    ):
        for name, spec in specs.items():
            metadata = {"name": name, "annotations": {"apf.kubernetes.io/autoupdate-spec": "true"}}
            obj = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": metadata, "spec": dict(spec)}
            yield f"{plural}.{group}", obj
