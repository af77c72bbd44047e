"""Eviction: deleting a pod if its disruption budget allows it.

Source: kubernetes/pkg/registry/core/pod/storage/eviction.go (v1.37).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from moorage.api.answers import Answer
from moorage.api.binding import SUCCESS
from moorage.api.bodies import expected_of, read_body
from moorage.api.delete import check_preconditions, delete
from moorage.api.pipeline import Tools, found, is_dry_run
from moorage.api.request import SYSTEM, Draft, Request
from moorage.api.write import Change, apply_change
from moorage.objects.errors import BadRequest, PlainError, TooManyRequests, forbidden
from moorage.objects.kinds import builtin
from moorage.objects.metadata import (
    Object,
    condition_of,
    format_time,
    generation_of,
    is_condition_true,
    is_terminating,
    labels_of,
    name_of,
)
from moorage.objects.selectors import parse_selector_object

#: How many pods may be on their way out under one budget before the disruption controller catches up.
DISRUPTED_MOST: Final = 2000

#: When to ask again while a budget is not known yet, in seconds.
AGAIN_IN: Final = 10

_BUDGETS: Final = "poddisruptionbudgets.policy"
_REFUSED: Final = "Cannot evict pod as it would violate the pod's disruption budget."


async def evict(tools: Tools, request: Request, body: Draft) -> Answer:
    """Evict a pod. Raises BadRequest, NotFound, TooManyRequests, PlainError for a pod under several budgets."""
    is_dry_run(request, "CreateOptions")
    if body.get("apiVersion") == "policy/v1beta1" and body.get("kind") == "Eviction":
        body["apiVersion"] = "policy/v1"
    body = read_body(expected_of(request.resource, "eviction"), request, body, request.raw)
    if name_of(body) != request.name:
        raise BadRequest("name in URL does not match name in Eviction object")
    await tools.admission.ask(body, None, request, tools.lookup)
    options = dict(body.get("deleteOptions") or {})
    if "dryRun" in request.query:
        options["dryRun"] = request.query["dryRun"].split(",")
    pod = found(tools, request).object
    budget = None if _is_no_disruption(pod) else _budget_of(tools, pod, request.namespace)
    if budget is not None and not _may_go_anyway(budget, pod):
        check_budget(budget)
        if not options.get("dryRun"):
            await _count(tools, request, budget, pod)
    gone = replace(request, verb="delete", subresource="", raw=None)
    if not options.get("dryRun"):
        change = Change(lambda old: _disrupted(old, options, request), trusted=True)
        await apply_change(tools, replace(gone, verb="update"), change, dry_run=False)
        if "resourceVersion" in (options.get("preconditions") or {}):
            options["preconditions"] = {k: v for k, v in options["preconditions"].items() if k != "resourceVersion"}
    await delete(tools, gone, {**options, "kind": "DeleteOptions", "apiVersion": "v1"}, admitted=False)
    return Answer(201, SUCCESS)


def _is_no_disruption(pod: Object) -> bool:
    """Tell whether losing the pod costs nobody anything: it ended, never started, or is going anyway."""
    return is_terminating(pod) or (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed", "Pending")


def _budget_of(tools: Tools, pod: Object, namespace: str) -> Object | None:
    """Return the budget that covers the pod, None if there is none. Raises PlainError for several."""
    budgets = [budget for budget in tools.lookup.list(_BUDGETS, namespace) if _covers(budget, pod)]
    if len(budgets) > 1:
        raise PlainError(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        )
    return budgets[0] if budgets else None


def _covers(budget: Object, pod: Object) -> bool:
    return bool(parse_selector_object((budget.get("spec") or {}).get("selector"))(labels_of(pod)))


def _may_go_anyway(budget: Object, pod: Object) -> bool:
    """Tell whether the pod is unhealthy and the budget does not protect such pods."""
    if is_condition_true(pod, "Ready"):
        return False
    if budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    desired = status.get("desiredHealthy", 0)
    return bool(desired > 0 and status.get("currentHealthy", 0) >= desired)


def check_budget(budget: Object) -> None:
    """Refuse an eviction that the budget has no room for. Raises TooManyRequests, Forbidden."""
    status, name = budget.get("status") or {}, name_of(budget)
    if status.get("observedGeneration", 0) < generation_of(budget):
        raise _refused(f"The disruption budget {name} is still being processed by the server.", AGAIN_IN)
    allowed = status.get("disruptionsAllowed", 0)
    if allowed < 0:
        raise forbidden("poddisruptionbudget", "policy", name, "pdb disruptions allowed is negative")
    if len(status.get("disruptedPods") or ()) > DISRUPTED_MOST:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise forbidden("poddisruptionbudget", "policy", name, why)
    if allowed > 0:
        return
    condition = condition_of(budget, "DisruptionAllowed") or {}
    if condition.get("reason") == "SyncFailed":
        why = f"does not allow evicting pods currently because it failed sync: {condition.get('message', '')}"
        raise _refused(f"The disruption budget {name} {why}")
    healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
    raise _refused(f"The disruption budget {name} needs {desired} healthy pods and has {healthy} currently")


def _refused(cause: str, again_in: int = 0) -> TooManyRequests:
    details: dict[str, Any] = {"causes": [{"reason": "DisruptionBudget", "message": cause}]}
    if again_in:
        details["retryAfterSeconds"] = again_in
    return TooManyRequests(_REFUSED, details=details)


async def _count(tools: Tools, request: Request, budget: Object, pod: Object) -> None:
    """Count one disruption against a budget that has room. Raises as `check_budget` when somebody was faster."""
    name, moment = name_of(pod), format_time(request.now)

    def counted(old: Object) -> Draft:
        check_budget(old)
        status: Mapping[str, Any] = old["status"]
        disrupted = {**(status.get("disruptedPods") or {}), name: moment}
        return {
            **old,
            "status": {**status, "disruptionsAllowed": status["disruptionsAllowed"] - 1, "disruptedPods": disrupted},
        }

    write = Request(
        SYSTEM,
        "update",
        builtin(_BUDGETS),
        request.namespace,
        name_of(budget),
        request.now,
        "status",
        agent="kube-apiserver",
    )
    await apply_change(tools, write, Change(counted), dry_run=False)


def _disrupted(pod: Object, options: Mapping[str, Any], request: Request) -> Draft:
    """Return the pod with the condition that says why it goes. Raises Conflict for an unmet precondition."""
    check_preconditions(request.resource, options, pod)
    status = pod.get("status") or {}
    wanted = {
        "type": "DisruptionTarget",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": format_time(request.now),
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
    }
    before = condition_of(pod, "DisruptionTarget")
    if before is not None and before["status"] == "True":
        wanted["lastTransitionTime"] = before.get("lastTransitionTime")
    conditions = [each for each in status.get("conditions") or () if each["type"] != "DisruptionTarget"]
    return {**pod, "status": {**status, "conditions": [*conditions, wanted]}}
