"""Holds the expressions of validating policies against the types of the objects that they match, and warns in the status.

A policy is checked once for each generation; what is found does not change what the policy does.
Source: pkg/controller/validatingadmissionpolicystatus, apiserver/pkg/admission/plugin/policy/validating/typechecking.go
(v1.37).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from moorage.controllers.rule import Controller, Decision, View
from moorage.objects.actions import SetStatus
from moorage.objects.metadata import Object, Ref, metadata_of

RESOURCE: Final = "validatingadmissionpolicies.admissionregistration.k8s.io"
_DEFINITIONS: Final = "customresourcedefinitions.apiextensions.k8s.io"


@dataclass(frozen=True, slots=True)
class Observed:
    """A policy, and the definitions of custom resources that it may be about."""

    policy: Object
    definitions: Sequence[Object] = ()


def observe(view: View, ref: Ref) -> Observed | None:
    """Select a policy that was not checked since it changed."""
    policy = view.get(RESOURCE, "", ref.name)
    if policy is None or _is_checked(policy):
        return None
    return Observed(policy, view.list(_DEFINITIONS))


def decide(observed: Observed, now: datetime) -> Decision:
    """Write down what does not fit."""
    from moorage.controllers.policy_types import expression_warnings  # expressions are imported with the first policy

    del now
    policy = observed.policy
    warnings = list(expression_warnings(policy["spec"], observed.definitions))
    status = {
        **(policy.get("status") or {}),
        "observedGeneration": metadata_of(policy).get("generation", 0),
        "typeChecking": {"expressionWarnings": warnings} if warnings else {},
    }
    because = f"{len(warnings)} of its expressions do not fit" if warnings else "its expressions fit"
    return Decision((SetStatus(RESOURCE, {**policy, "status": status}),), because=because)


def _is_checked(policy: Object) -> bool:
    observed: int = (policy.get("status") or {}).get("observedGeneration", 0)
    generation: int = metadata_of(policy).get("generation", 0)
    return generation <= observed


CONTROLLER = Controller(
    name="validatingadmissionpolicy-status",
    kind=RESOURCE,
    wakes={},
    observe=observe,
    decide=decide,
    reads=(_DEFINITIONS,),
)
