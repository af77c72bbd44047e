"""Why the API refused what a controller wanted to create: from the text of the refusal to the object behind it.

Source of the texts: the API server's admission plugins (v1.37).
"""

import re
from collections.abc import Callable
from typing import Final

from moorage.objects.metadata import Ref, name_of
from moorage.why.cause import Cause, cut, kubectl
from moorage.why.world import World

HOOKS: Final = (
    "mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "validatingwebhookconfigurations.admissionregistration.k8s.io",
)
POLICIES: Final = "validatingadmissionpolicies.admissionregistration.k8s.io"
PRIORITIES: Final = "priorityclasses.scheduling.k8s.io"

_QUOTA: Final = re.compile(r"exceeded quota: ([^,]+), (requested: .*)")
_ACCOUNT: Final = re.compile(r'serviceaccount "([^"]+)" not found')
_TERMINATING: Final = re.compile(r"content in namespace (\S+) because it is being terminated")
_PRIORITY: Final = re.compile(r"no PriorityClass with name (\S+) was found")
_HOOK: Final = re.compile(r'(?:admission webhook|failed calling webhook) "([^"]+)"')
_POLICY: Final = re.compile(r"ValidatingAdmissionPolicy '([^']+)'")
_SECURITY: Final = re.compile(r'violates PodSecurity "([^":]+)[^"]*": (.*)')
_RANGE: Final = re.compile(
    r"\b(?:maximum|minimum) \S+ usage per \S+|must be (?:less|greater) than or equal to .* limit"
)


def explain(says: str, message: str, namespace: str, world: World, show: str) -> Cause:
    """Return the cause for a refusal. `says`: what was to be done. `show`: the command when nobody is named."""
    for find in _FINDERS:
        cause = find(says, message, namespace, world)
        if cause is not None:
            return cause
    return Cause(f"{says}: {cut(message)}", show)


def _quota(says: str, message: str, namespace: str, _: World) -> Cause | None:
    found = _QUOTA.search(message)
    if not found:
        return None
    show = kubectl(f"edit resourcequota {found[1]}", namespace)
    return Cause(
        f"{says}: it would exceed quota {found[1]}",
        show,
        Ref("resourcequotas", namespace, found[1]),
        f"would be exceeded: {cut(found[2])}",
    )


def _account(says: str, message: str, namespace: str, _: World) -> Cause | None:
    found = _ACCOUNT.search(message)
    if not found:
        return None
    name = found[1].rpartition("/")[2]
    make = kubectl(f"create serviceaccount {name}", namespace)
    return Cause(says, holder=Ref("serviceaccounts", namespace, name), absent=make, command=make)


def _namespace(says: str, message: str, _: str, __: World) -> Cause | None:
    found = _TERMINATING.search(message)
    return Cause(says, holder=Ref("namespaces", "", found[1])) if found else None


def _priority(says: str, message: str, _: str, __: World) -> Cause | None:
    found = _PRIORITY.search(message)
    if not found:
        return None
    make = f"kubectl create priorityclass {found[1]} --value=1000"
    return Cause(says, holder=Ref(PRIORITIES, "", found[1]), absent=make)


def _hook(says: str, message: str, _: str, world: World) -> Cause | None:
    found = _HOOK.search(message)
    if not found:
        return None
    for resource in HOOKS:
        for each in world.list(resource):
            if any(hook.get("name") == found[1] for hook in each.get("webhooks") or ()):
                show = f"kubectl describe {resource.partition('.')[0]} {name_of(each)}"
                return Cause(
                    f"{says}: {cut(message)}", show, Ref(resource, "", name_of(each)), f"has the webhook {found[1]}"
                )
    return None


def _policy(says: str, message: str, _: str, __: World) -> Cause | None:
    found = _POLICY.search(message)
    if not found:
        return None
    show = f"kubectl describe validatingadmissionpolicy {found[1]}"
    return Cause(f"{says}: {cut(message)}", show, Ref(POLICIES, "", found[1]), "denies it")


def _security(says: str, message: str, namespace: str, _: World) -> Cause | None:
    found = _SECURITY.search(message)
    if not found:
        return None
    show = (
        f"kubectl label namespace {namespace} pod-security.kubernetes.io/enforce=LEVEL --overwrite, or change the pod"
    )
    held = f"enforces the Pod Security Standard {found[1]}"
    return Cause(f"{says}: {cut(found[2])}", show, Ref("namespaces", "", namespace), held)


def _range(says: str, message: str, namespace: str, world: World) -> Cause | None:
    if not _RANGE.search(message):
        return None
    ranges = world.list("limitranges", namespace)
    if not ranges:
        return None
    ref = Ref("limitranges", namespace, name_of(ranges[0]))
    return Cause(f"{says}: {cut(message)}", kubectl(f"describe limitrange {ref.name}", namespace), ref, "says so")


_FINDERS: Final[tuple[Callable[[str, str, str, World], Cause | None], ...]] = (
    _quota,
    _account,
    _namespace,
    _priority,
    _hook,
    _policy,
    _security,
    _range,
)
