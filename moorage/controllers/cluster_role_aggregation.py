"""Cluster roles that gather the rules of others: `aggregationRule` says by labels from which.

Source: pkg/controller/clusterroleaggregation (v1.37).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from moorage.controllers.rule import Controller, Decision, View
from moorage.objects.actions import Update
from moorage.objects.metadata import Object, Ref, name_of
from moorage.objects.policy_rules import aggregated_rules

RESOURCE: Final = "clusterroles.rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True)
class Observed:
    """An aggregating role, and all cluster roles."""

    role: Object
    roles: Sequence[Object]


def observe(view: View, ref: Ref) -> Observed | None:
    """Select the role at `ref` if it gathers rules, with all that it may gather from."""
    role = view.get(RESOURCE, "", ref.name)
    return None if role is None or not _gathers(role) else Observed(role, view.list(RESOURCE))


def decide(observed: Observed, now: datetime) -> Decision:
    """Write the rules that the role should have, unless it has them."""
    rules = aggregated_rules(observed.role, observed.roles)
    if rules is None or rules == (observed.role.get("rules") or []):
        return Decision(because="the role has all rules that it gathers")
    return Decision((Update(RESOURCE, {**observed.role, "rules": rules}),), because="what the role gathers has changed")


def _gathers(role: Object) -> bool:
    return bool((role.get("aggregationRule") or {}).get("clusterRoleSelectors"))


def _wakes(view: View, changed: Object) -> Iterable[Ref]:
    """Return all roles that gather: any of them may have taken from the role as it was, or will."""
    return [Ref(RESOURCE, "", name_of(each)) for each in view.list(RESOURCE) if _gathers(each)]


CONTROLLER = Controller(
    name="clusterrole-aggregation-controller",
    kind=RESOURCE,
    wakes={RESOURCE: _wakes},
    observe=observe,
    decide=decide,
)
