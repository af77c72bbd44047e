"""The StatefulSet controller: pods with a berth each, that is a name, a place in the order and volumes of their own.

`observe` selects the pods, claims and revisions of one set, `decide` turns them into actions:
who belongs to the set (adoption and release), which revisions there are (`revisions`), which pod comes next
(`ordering`), with which claims (`claims`), and what the set reports (`status`).
Source: pkg/controller/statefulset (v1.37).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from moorage.controllers.rule import Controller, Decision, View
from moorage.controllers.statefulset import claims, ordering, revisions
from moorage.controllers.statefulset.ordering import Plan, Replica, Step, Verb
from moorage.controllers.statefulset.status import is_reported, status_for
from moorage.objects import pods as pod_facts
from moorage.objects.actions import Action, Create, Delete, Record, SetStatus, Update
from moorage.objects.label_selectors import selects
from moorage.objects.metadata import (
    Object,
    Ref,
    controller_of,
    is_controlled_by,
    is_terminating,
    labels_of,
    metadata_of,
    name_of,
    namespace_of,
    uid_of,
)
from moorage.objects.workloads import (
    POD_REVISION,
    adopted,
    adoptions,
    is_adoptable,
    min_ready_seconds_of,
    owner_refs,
    percent_of,
    pod_from,
    ref_of,
    release,
    replicas_of,
    sort_revisions,
    template_of,
)

RESOURCE = "statefulsets.apps"
POD_NAME = "statefulset.kubernetes.io/pod-name"
POD_INDEX = "apps.kubernetes.io/pod-index"

#: Ordinals are 32-bit numbers.
ORDINAL_MOST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Observed:
    """All that decides about one set.

    pods, revisions: those it controls, and orphans that it may adopt. claims: by name, of its pods' berths.
    taken: revisions by name that stand in the way of a new one (revisions.find_taken).
    """

    workload: Object
    pods: Sequence[Object]
    revisions: Sequence[Object]
    claims: Mapping[str, Object]
    taken: Mapping[str, Object]


def observe(view: View, ref: Ref) -> Observed | None:
    """Select what matters to the set at `ref`."""
    workload = view.get(RESOURCE, ref.namespace, ref.name)
    if workload is None or not workload["spec"].get("selector"):
        return None
    found = [pod for pod in _members(view, workload, "pods") if ordinal_in(workload, name_of(pod)) is not None]
    history = sort_revisions(_members(view, workload, revisions.RESOURCE))
    found_claims = dict(_claims_of(view, workload, found)) if claims.templates_of(workload) else {}
    return Observed(workload, found, history, found_claims, revisions.find_taken(view, workload, history))


def decide(observed: Observed, now: datetime) -> Decision:
    """Return what the set needs next."""
    workload = observed.workload
    membership, pods = _settle_pods(observed)
    adoption, history = _settle_revisions(observed)
    chosen = revisions.choose_revisions(workload, history, observed.taken)
    plan = plan_for(workload, chosen)
    replicas = [_replica_for(observed, plan, pod, now) for pod in pods]
    if is_terminating(workload):
        status = _set_status(workload, status_for(workload, chosen, replicas))
        return Decision((*membership, *status), because="the set is being deleted")
    wanted, condemned = _berths(observed, plan, chosen, replicas)
    steps = ordering.next_steps(plan, wanted, condemned)
    actions = [action for step in steps.due for action in _perform(observed, chosen, step)]
    replaced = sum(step.verb is Verb.REPLACE for step in steps.due)
    live = {name_of(chosen.current), name_of(chosen.update), *(revisions.revision_of_pod(pod) for pod in pods)}
    return Decision(
        (
            *membership,
            *adoption,
            *chosen.actions,
            *_side_by_side(actions),
            *_set_status(workload, status_for(workload, chosen, replicas, replaced)),
            *revisions.forget_history(workload, history, live),
        ),
        look_again_in=pod_facts.first_available_in(pods, min_ready_seconds_of(workload), now),
        because=_because(workload, steps),
    )


def pod_name(workload: Object, ordinal: int) -> str:
    """Return the name of the pod at an ordinal."""
    return f"{name_of(workload)}-{ordinal}"


def ordinal_in(workload: Object, name: str) -> int | None:
    """Return the ordinal that a pod's name gives it in the set, None if it has none there."""
    parent, dash, digits = name.rpartition("-")
    if not dash or parent != name_of(workload) or not (digits.isascii() and digits.isdigit()):
        return None
    ordinal = int(digits)
    return ordinal if ordinal <= ORDINAL_MOST else None


def ordinals_of(workload: Object) -> range:
    """Return the ordinals that the set asks for."""
    start = int((workload["spec"].get("ordinals") or {}).get("start") or 0)
    return range(start, start + replicas_of(workload))


def plan_for(workload: Object, chosen: revisions.Revisions) -> Plan:
    """Return what the set asks for, in the words of the ordering."""
    spec = workload["spec"]
    strategy = spec.get("updateStrategy") or {}
    rolling = strategy.get("rollingUpdate") or {}
    ordinals = ordinals_of(workload)
    most = rolling.get("maxUnavailable")
    return Plan(
        replicas=len(ordinals),
        start=ordinals.start,
        update_revision=name_of(chosen.update),
        ordered=spec.get("podManagementPolicy") != "Parallel",
        updates=strategy.get("type") != "OnDelete",
        partition=int(rolling.get("partition") or 0),
        max_unavailable=1 if most is None else max(1, percent_of(most, len(ordinals), up=False)),
    )


def pod_for(workload: Object, revision: Object, ordinal: int, template: Object) -> dict[str, Any]:
    """Return the pod to create at an ordinal from the template of a revision."""
    name = pod_name(workload, ordinal)
    labels = {POD_NAME: name, POD_INDEX: str(ordinal), POD_REVISION: name_of(revision)}
    spec: dict[str, Any] = {"hostname": name}
    if service := workload["spec"].get("serviceName"):
        spec["subdomain"] = service
    if volumes := claims.volumes_for(workload, name, template["spec"].get("volumes")):
        spec["volumes"] = volumes
    return pod_from(template, workload, name=name, labels=labels, spec=spec)


def _members(view: View, workload: Object, resource: str) -> Iterator[Object]:
    """Yield what the set controls, and the orphans that it would adopt."""
    uid = uid_of(workload)
    yield from (each for each in view.owned(resource, uid) if is_controlled_by(each, workload))
    for each in view.orphans(resource, namespace_of(workload)):
        if selects(workload, each) and is_adoptable(each, workload):
            yield each


def _claims_of(view: View, workload: Object, pods: Sequence[Object]) -> Iterator[tuple[str, Object]]:
    """Yield the claims of all berths that are wanted or there, by name."""
    names = {name_of(pod) for pod in pods} | {pod_name(workload, each) for each in ordinals_of(workload)}
    for name in sorted(each for pod in names for each in claims.claim_names(workload, pod)):
        claim = view.get(claims.RESOURCE, namespace_of(workload), name)
        if claim is not None:
            yield name, claim


def _settle_pods(observed: Observed) -> tuple[tuple[Action, ...], list[Object]]:
    """Return the adoptions and releases, and the pods that the set then has."""
    workload = observed.workload
    kept: list[Object] = []
    freed: list[Object] = []
    orphans: list[Object] = []
    for pod in observed.pods:
        if controller_of(pod) is None:
            orphans.append(pod)
        else:
            (kept if selects(workload, pod) else freed).append(pod)
    actions: tuple[Action, ...] = adoptions("pods", RESOURCE, workload, orphans)
    actions += tuple(release("pods", pod, workload) for pod in freed if not is_terminating(workload))
    pods = kept + [adopted(pod, workload) for pod in orphans]
    prefix = len(name_of(workload)) + 1
    return actions, sorted(pods, key=lambda pod: int(name_of(pod)[prefix:]))


def _settle_revisions(observed: Observed) -> tuple[tuple[Action, ...], list[Object]]:
    workload = observed.workload
    orphans = [each for each in observed.revisions if controller_of(each) is None]
    history = [each if controller_of(each) else adopted(each, workload) for each in observed.revisions]
    return adoptions(revisions.RESOURCE, RESOURCE, workload, orphans), history


def _replica_for(observed: Observed, plan: Plan, pod: Object, now: datetime) -> Replica:
    workload, name = observed.workload, name_of(pod)
    ordinal = int(name[len(name_of(workload)) + 1 :])
    condemned = ordinal not in plan.ordinals
    ready = pod_facts.is_running_and_ready(pod)
    has_claims = bool(claims.templates_of(workload))
    retained = not has_claims or claims.is_retained(workload, pod, observed.claims, condemned=condemned)
    mounted = not has_claims or claims.mounts_claims(workload, pod)
    return Replica(
        ordinal=ordinal,
        revision=revisions.revision_of_pod(pod),
        pod=pod,
        is_ready=ready,
        is_available=ready and pod_facts.is_available(pod, min_ready_seconds_of(workload), now),
        is_terminating=is_terminating(pod),
        is_finished=pod_facts.is_finished(pod),
        is_pending=pod_facts.is_pending(pod),
        misses_claims=has_claims and claims.is_missing(workload, name, observed.claims),
        is_sound=retained and (condemned or (_has_identity(pod) and mounted)),
    )


def _berths(
    observed: Observed, plan: Plan, chosen: revisions.Revisions, replicas: Iterable[Replica]
) -> tuple[list[Replica], list[Replica]]:
    """Return one replica for each wanted ordinal, ascending, and the condemned ones, descending."""
    workload = observed.workload
    found: dict[int, Replica] = {}
    condemned = []
    for each in replicas:
        # A pod may write its ordinal with leading zeros; it is not the one that is wanted.
        if each.ordinal in plan.ordinals and each.pod and name_of(each.pod) == pod_name(workload, each.ordinal):
            found[each.ordinal] = each
        else:
            condemned.append(each)
    older, current, update = _ordinals_of_current(workload), name_of(chosen.current), name_of(chosen.update)
    stale = claims.retention_of(workload).with_pod
    wanted = [
        found.get(ordinal)
        or Replica(
            ordinal,
            current if ordinal < older else update,
            has_stale_claim=stale and claims.is_stale(workload, pod_name(workload, ordinal), observed.claims),
        )
        for ordinal in plan.ordinals
    ]
    return wanted, sorted(condemned, key=lambda each: each.ordinal, reverse=True)


def _ordinals_of_current(workload: Object) -> int:
    """Return below which ordinal a missing pod is created at the current revision: that of the partition."""
    strategy = workload["spec"].get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return 0
    rolling = strategy.get("rollingUpdate")
    if rolling is None:
        kept = int((workload.get("status") or {}).get("currentReplicas") or 0)
    else:
        kept = int(rolling.get("partition") or 0)
    return ordinals_of(workload).start + kept


def _has_identity(pod: Object) -> bool:
    return labels_of(pod).get(POD_NAME) == name_of(pod)


def _perform(observed: Observed, chosen: revisions.Revisions, step: Step) -> Iterator[Action]:
    """Yield the actions of a step."""
    workload, ordinal, pod = observed.workload, step.replica.ordinal, step.replica.pod
    match step.verb:
        case Verb.CREATE:
            yield from _create(observed, chosen, ordinal)
        case Verb.HEAL:
            yield from claims.create_missing(workload, pod_name(workload, ordinal), observed.claims)
        case Verb.REPAIR if pod is not None:
            yield from _repair(observed, pod)
        case Verb.RETAIN if pod is not None:
            yield from claims.retain(workload, pod, observed.claims, condemned=True)
        case Verb.DELETE | Verb.REPLACE if pod is not None:
            done, failed = _records(workload, "Delete", name_of(pod))
            yield Delete(ref_of("pods", pod), done=done, failed=failed)


def _create(observed: Observed, chosen: revisions.Revisions, ordinal: int) -> Iterator[Action]:
    workload, name = observed.workload, pod_name(observed.workload, ordinal)
    leaving = claims.being_deleted(workload, name, observed.claims)
    yield from claims.create_missing(workload, name, observed.claims)
    done, failed = _records(workload, "Create", name)
    if leaving:
        text = failed[0].message.replace("{error}", f"pvc {leaving} is being deleted")
        yield Record(workload, "FailedCreate", text, kind="Warning")
        return
    revision = chosen.current if ordinal < _ordinals_of_current(workload) else chosen.update
    template = template_of(workload) if revision is chosen.update else revisions.template_at(revision)
    made = pod_for(workload, revision, ordinal, template)
    together = workload["spec"].get("podManagementPolicy") == "Parallel"
    yield Create("pods", made, done=done, failed=failed, together=together)
    yield from claims.retain(workload, made, observed.claims, condemned=False)


def _repair(observed: Observed, pod: Object) -> Iterator[Action]:
    """Yield what makes a pod match its set again. The Event tells of the pod even if only its claims changed."""
    workload, name = observed.workload, name_of(pod)
    done, failed = _records(workload, "Update", name)
    mounted = claims.mounts_claims(workload, pod)
    if not mounted:
        yield from claims.create_missing(workload, name, observed.claims)
    yield from claims.retain(workload, pod, observed.claims, condemned=False)
    if mounted and _has_identity(pod):
        yield from done
        return
    ordinal = ordinal_in(workload, name)
    labels = {**labels_of(pod), POD_NAME: name, POD_INDEX: str(ordinal)}
    spec = {**pod["spec"], "volumes": claims.volumes_for(workload, name, pod["spec"].get("volumes"))}
    repaired = {**pod, "metadata": {**metadata_of(pod), "labels": labels}, "spec": pod["spec"] if mounted else spec}
    yield Update("pods", repaired, done=done, failed=failed)


def _side_by_side(actions: Sequence[Action]) -> tuple[Action, ...]:
    """Return the actions with the creations of a parallel set side by side: claims first, then pods, then the rest."""
    together = [each for each in actions if isinstance(each, Create) and each.together]
    if not together:
        return tuple(actions)
    made = [each for each in actions if isinstance(each, Create) and not each.together]
    rest = [each for each in actions if not isinstance(each, Create)]
    return (*made, *together, *rest)


def _records(workload: Object, verb: str, pod: str) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
    """Return the Events of a success and of a failure. Source: stateful_pod_control.go recordPodEvent."""
    subject = f"{verb} Pod {pod} in StatefulSet {name_of(workload)}"
    done = Record(workload, f"Successful{verb}", f"{subject} successful")
    failed = Record(workload, f"Failed{verb}", f"{subject} failed error: {{error}}", kind="Warning")
    return (done,), (failed,)


def _set_status(workload: Object, status: dict[str, Any]) -> tuple[SetStatus, ...]:
    """Return the write of the status; errors in the round do not keep it from being written."""
    if is_reported(workload, status):
        return ()
    return (SetStatus(RESOURCE, {**workload, "status": status}, when_failed=status),)


def _because(workload: Object, steps: ordering.Steps) -> str:
    if steps.due:
        first = steps.due[0]
        return f"{first.verb.value} {pod_name(workload, first.replica.ordinal)}: {first.why}"
    return f"waiting for {steps.waits}" if steps.waits else "all pods are as they should be"


def _wakes_for_pod(view: View, pod: Object) -> Iterable[Ref]:
    """Return the sets that a pod concerns: its controller, or those that might adopt it."""
    if controller_of(pod) is not None:
        return owner_refs(RESOURCE, "StatefulSet", pod)
    return [
        Ref(RESOURCE, namespace_of(each), name_of(each))
        for each in view.list(RESOURCE, namespace_of(pod))
        if selects(each, pod) or ordinal_in(each, name_of(pod)) is not None
    ]


def _wakes_for_claim(view: View, claim: Object) -> Iterable[Ref]:
    """Return the sets that have a berth for a claim: some pod of theirs may miss it, or wait for it to go."""
    name = name_of(claim)
    return [
        Ref(RESOURCE, namespace_of(each), name_of(each))
        for each in view.list(RESOURCE, namespace_of(claim))
        if any(
            name.startswith(f"{name_of(template)}-")
            and ordinal_in(each, name[len(name_of(template)) + 1 :]) is not None
            for template in claims.templates_of(each)
        )
    ]


CONTROLLER = Controller(
    name="statefulset-controller",
    kind=RESOURCE,
    wakes={"pods": _wakes_for_pod, claims.RESOURCE: _wakes_for_claim},
    reads=(revisions.RESOURCE,),
    observe=observe,
    decide=decide,
)
