"""What limits others: quotas that are used up, budgets that allow no disruption, autoscalers that cannot count."""

from typing import Final

from moorage.objects.kinds import resource_of_kind
from moorage.objects.label_selectors import is_selected
from moorage.objects.metadata import Object, Ref, condition_of, labels_of, name_of, namespace_of
from moorage.objects.pods import is_active
from moorage.objects.quantity import parse_quantity
from moorage.why.cause import Cause, cut, kubectl
from moorage.why.workloads import first_bad, status_of
from moorage.why.world import World

APISERVICES: Final = "apiservices.apiregistration.k8s.io"
#: Which API serves the metrics of a condition's reason.
_METRICS: Final = {
    "FailedGetResourceMetric": "v1beta1.metrics.k8s.io",
    "FailedGetContainerResourceMetric": "v1beta1.metrics.k8s.io",
    "FailedGetPodsMetric": "v1beta2.custom.metrics.k8s.io",
    "FailedGetObjectMetric": "v1beta2.custom.metrics.k8s.io",
    "FailedGetExternalMetric": "v1beta1.external.metrics.k8s.io",
}


def explain_quota(quota: Object, _: World) -> Cause | None:
    """Return what of a quota is used up, None if there is room in all of it."""
    status = status_of(quota)
    hard, used = status.get("hard") or {}, status.get("used") or {}
    full = [
        key
        for key, most in sorted(hard.items())
        if parse_quantity(str(used.get(key, "0"))) >= parse_quantity(str(most))
    ]
    full = [key for key in full if parse_quantity(str(hard[key]))] or full
    if not full:
        return None
    told = ", ".join(f"{key} {used.get(key, '0')} of {hard[key]}" for key in full)
    return Cause(f"is used up: {cut(told)}", kubectl(f"edit resourcequota {name_of(quota)}", namespace_of(quota)))


def explain_budget(budget: Object, world: World) -> Cause | None:
    """Return why a budget lets no pod be evicted."""
    status, namespace = status_of(budget), namespace_of(budget)
    if int(status.get("disruptionsAllowed") or 0) > 0:
        return None
    healthy, wanted = int(status.get("currentHealthy") or 0), int(status.get("desiredHealthy") or 0)
    show = kubectl(f"describe pdb {name_of(budget)}", namespace)
    failed = condition_of(budget, "DisruptionAllowed") or {}
    if failed.get("reason") == "SyncFailed":
        return Cause(f"allows no eviction: {cut(str(failed.get('message') or ''))}", show)
    if not int(status.get("expectedPods") or 0):
        return Cause("concerns no pod: its selector matches none", kubectl("get pods --show-labels", namespace))
    selector = (budget.get("spec") or {}).get("selector")
    pods = [pod for pod in world.list("pods", namespace) if is_selected(selector, labels_of(pod)) and is_active(pod)]
    bad = first_bad(pods)
    says = f"allows no eviction: {healthy} pods are healthy, and it wants {wanted} of {status.get('expectedPods')}"
    if bad is not None:
        return Cause(says, show, Ref("pods", namespace, name_of(bad)))
    return Cause(f"{says} to stay", kubectl(f"edit pdb {name_of(budget)}", namespace) + ", or run more pods")


def explain_autoscaler(autoscaler: Object, world: World) -> Cause | None:
    """Return why an autoscaler does not scale."""
    namespace, name = namespace_of(autoscaler), name_of(autoscaler)
    show = kubectl(f"describe hpa {name}", namespace)
    able = condition_of(autoscaler, "AbleToScale") or {}
    target = (autoscaler.get("spec") or {}).get("scaleTargetRef") or {}
    if able.get("status") == "False":
        row = resource_of_kind(str(target.get("apiVersion") or "v1"), str(target.get("kind")))
        ref = Ref(row.id, namespace, str(target.get("name"))) if row is not None else None
        return Cause(
            f"cannot scale {target.get('kind')} {target.get('name')}: {cut(str(able.get('message') or ''))}", show, ref
        )
    active = condition_of(autoscaler, "ScalingActive") or {}
    if active.get("status") != "False":
        return None
    says = f"does not scale {target.get('kind')} {target.get('name')}: {cut(str(active.get('message') or ''))}"
    api = _METRICS.get(str(active.get("reason")))
    if api is None:
        return Cause(says, show)
    install = "install metrics-server, which serves it, then: kubectl get apiservices"
    return Cause(
        f"does not scale: it gets no metrics ({active.get('reason')})", show, Ref(APISERVICES, "", api), says, install
    )
