"""Subresources that are not the object itself: scale, binding, eviction, token, approval, finalize, and reviews.

Each is a small function of (tools, request, body); Api finds it by resource and subresource.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from moorage.api.answers import Answer
from moorage.api.delete import delete
from moorage.api.pipeline import Tools, is_dry_run, kind_of
from moorage.api.request import Draft, Request
from moorage.api.scale import scale_of, with_scale
from moorage.api.write import Change, apply_change
from moorage.objects.encoded import Encoded
from moorage.objects.errors import BadRequest, Cause, TooManyRequests, conflict, invalid, not_found
from moorage.objects.kinds import builtin
from moorage.objects.metadata import Object, condition_of, format_time, is_terminating, labels_of, name_of
from moorage.objects.selectors import parse_selector_object

Creation = Callable[[Tools, Request, Draft], Awaitable[Answer]]


def found(tools: Tools, request: Request) -> Encoded:
    """Return the object whose subresource is asked for. Raises NotFound."""
    resource = request.resource
    item = tools.storage.find(resource, request.namespace, request.name)
    if item is None:
        raise not_found(resource.plural, resource.group, request.name)
    return tools.storage.presented(resource, item)


def read_scale(tools: Tools, request: Request) -> Answer:
    """Return the Scale of an object."""
    return Answer(200, scale_of(found(tools, request).object))


async def write_scale(tools: Tools, request: Request, make: Callable[[Object], Draft], *, insist: bool) -> Answer:
    """Change an object through its Scale; `make` gives the wanted Scale from the current one."""
    dry_run = is_dry_run(request, "UpdateOptions" if insist else "PatchOptions")
    base = found(tools, request)
    scale = make(scale_of(base.object))
    check_scale(scale, request)
    revision = (scale.get("metadata") or {}).get("resourceVersion") or ""
    change = Change(lambda old: with_scale(old, make(scale_of(old))), int(revision) if revision.isdigit() else 0)
    answer = await apply_change(tools, request, change, dry_run=dry_run)
    obj = answer.body.object if isinstance(answer.body, Encoded) else answer.body
    return Answer(200, scale_of(obj))


def check_scale(scale: Object, request: Request) -> None:
    """Refuse a Scale of another object or with a negative size. Raises BadRequest, Invalid."""
    kind = scale.get("kind") or "Scale"
    if kind != "Scale":
        version = str(scale.get("apiVersion") or "").rpartition("/")[2]
        why = f"converting ({version}.{kind}) to (autoscaling.Scale): unknown conversion"
        raise BadRequest(f'{kind} in version "{version}" cannot be handled as a Scale: {why}')
    name = (scale.get("metadata") or {}).get("name") or ""
    if name and name != request.name:
        raise BadRequest(f"the name of the object ({name}) does not match the name on the URL ({request.name})")
    replicas = (scale.get("spec") or {}).get("replicas") or 0
    if not isinstance(replicas, int):
        shown = type(replicas).__name__.replace("str", "string")
        why = f"json: cannot unmarshal {shown} into Go struct field ScaleSpec.spec.replicas of type int32"
        raise BadRequest(f'Scale in version "v1" cannot be handled as a Scale: {why}')
    if replicas < 0:
        text = f"Invalid value: {replicas}: must be greater than or equal to 0"
        raise invalid("Scale", "autoscaling", request.name, [Cause("FieldValueInvalid", text, "spec.replicas")])


async def bind(tools: Tools, request: Request, body: Draft) -> Answer:
    """Bind a pod to a node. Source: registry/core/pod/storage BindingREST.setPodNodeAndMetadata (v1.37)."""
    name = request.name or name_of(body)
    target = body.get("target") or {}
    causes = []
    if target.get("kind") not in ("", None, "Node", "Minion"):
        shown = f'Unsupported value: "{target["kind"]}": supported values: "Node", "<empty>"'
        causes.append(Cause("FieldValueNotSupported", shown, "target.kind"))
    if not target.get("name"):
        causes.append(Cause("FieldValueRequired", "Required value", "target.name"))
    if causes:
        raise invalid("Binding", "", name, causes)
    dry_run = is_dry_run(request, "CreateOptions")
    node = str(target["name"])
    pods = _at(request, request.resource, name)
    wanted_uid = (body.get("metadata") or {}).get("uid")

    def make(pod: Object) -> Draft:
        if wanted_uid and pod["metadata"]["uid"] != wanted_uid:
            raise _bind_conflict(name, f'the UID in the binding "{wanted_uid}" does not match the pod')
        return _bound(pod, name, node, body, request, tools)

    bound = _status_like(pods)
    await apply_change(tools, bound, Change(make, trusted=True), dry_run=dry_run)
    return Answer(201, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})


def _bound(pod: Object, name: str, node: str, body: Object, request: Request, tools: Tools) -> Draft:
    spec, status = pod["spec"], pod.get("status") or {}
    if is_terminating(pod):
        raise _bind_conflict(name, f"pod {name} is being deleted, cannot be assigned to a host")
    if spec.get("nodeName"):
        raise _bind_conflict(name, f'pod {name} is already assigned to node "{spec["nodeName"]}"')
    if spec.get("schedulingGates"):
        raise _bind_conflict(name, f"pod {name} has non-empty .spec.schedulingGates")
    wanted = body.get("metadata") or {}
    metadata = dict(pod["metadata"])
    if wanted.get("annotations"):
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **wanted["annotations"]}
    topology = _topology_labels(tools.lookup.get("nodes", "", node))
    if wanted.get("labels") or topology:
        metadata["labels"] = {**topology, **(metadata.get("labels") or {}), **(wanted.get("labels") or {})}
    before = condition_of(pod, "PodScheduled")
    moment = format_time(request.now)
    scheduled: dict[str, Any] = {
        "type": "PodScheduled",
        "status": "True",
        "observedGeneration": (before or {}).get("observedGeneration"),
        "lastProbeTime": None,
        "lastTransitionTime": moment,
    }
    scheduled = {key: value for key, value in scheduled.items() if key != "observedGeneration" or value}
    others = [each for each in status.get("conditions") or () if each["type"] != "PodScheduled"]
    new_status = {key: value for key, value in status.items() if key != "nominatedNodeName"}
    return {
        **pod,
        "metadata": metadata,
        "spec": {**spec, "nodeName": node},
        "status": {**new_status, "conditions": [*others, scheduled]},
    }


def _topology_labels(node: Object | None) -> dict[str, str]:
    """Return the labels of its node that a pod gets when it is bound: zone and region."""
    labels = labels_of(node) if node is not None else {}
    wanted = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")
    return {key: labels[key] for key in wanted if key in labels}


def _bind_conflict(name: str, why: str) -> Exception:
    return conflict("pods/binding", "", name, why)


def _at(request: Request, resource: Any, name: str) -> Request:
    return Request(
        request.user,
        "update",
        resource,
        request.namespace,
        name,
        request.now,
        subresource=request.subresource,
        query=request.query,
        agent=request.agent,
        warnings=request.warnings,
    )


def _status_like(request: Request) -> Request:
    """Return the request as one of the subresource `binding`: the pod changes as a whole, unseen by update rules."""
    return Request(
        request.user,
        "update",
        request.resource,
        request.namespace,
        request.name,
        request.now,
        subresource="binding",
        query=request.query,
        agent=request.agent,
        warnings=request.warnings,
    )


async def evict(tools: Tools, request: Request, body: Draft) -> Answer:
    """Delete a pod if its disruption budgets allow it. Source: registry/core/pod/storage/eviction.go (v1.37)."""
    name = name_of(body) or request.name
    if name != request.name:
        raise BadRequest(f"name in URL does not match name in Eviction object: {request.name} != {name}")
    pod = found(tools, request).object
    options = dict(body.get("deleteOptions") or {})
    if "dryRun" in request.query:
        options["dryRun"] = request.query["dryRun"].split(",")
    if _counts(pod):
        for budget in tools.lookup.list("poddisruptionbudgets.policy", request.namespace):
            if _covers(budget, pod):
                await _take_from(tools, request, budget, pod, dry_run=bool(options.get("dryRun")))
    gone = Request(
        request.user,
        "delete",
        kind_of(request.resource).resource,
        request.namespace,
        name,
        request.now,
        query=request.query,
        agent=request.agent,
        warnings=request.warnings,
    )
    await delete(tools, gone, {**options, "kind": "DeleteOptions", "apiVersion": "v1"})
    return Answer(201, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})


def _counts(pod: Object) -> bool:
    """Tell whether losing the pod is a disruption: not if it ended, never started, or is going anyway."""
    phase = (pod.get("status") or {}).get("phase")
    return phase not in ("Succeeded", "Failed", "Pending") and not is_terminating(pod)


def _covers(budget: Object, pod: Object) -> bool:
    return bool(parse_selector_object(budget["spec"].get("selector"))(labels_of(pod)))


async def _take_from(tools: Tools, request: Request, budget: Object, pod: Object, *, dry_run: bool) -> None:
    """Count one disruption against a budget. Raises TooManyRequests when none is left."""
    status, metadata = budget.get("status") or {}, budget["metadata"]
    allowed = status.get("disruptionsAllowed", 0)
    if status.get("observedGeneration", 0) < metadata.get("generation", 0):
        raise _refused(
            "Cannot evict pod as it would violate the pod's disruption budget.",
            f"The disruption budget {metadata['name']} is still being processed by the server.",
        )
    if allowed <= 0:
        healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
        raise _refused(
            "Cannot evict pod as it would violate the pod's disruption budget.",
            f"The disruption budget {metadata['name']} needs {desired} healthy pods and has {healthy} currently",
        )
    if dry_run:
        return
    disrupted = {**(status.get("disruptedPods") or {}), name_of(pod): format_time(request.now)}
    changed: Mapping[str, Any] = {**status, "disruptionsAllowed": allowed - 1, "disruptedPods": disrupted}
    resource = builtin("poddisruptionbudgets.policy")
    write = Request(request.user, "update", resource, request.namespace, metadata["name"], request.now, "status")
    await apply_change(tools, write, Change(lambda old: {**old, "status": dict(changed)}), dry_run=False)


def _refused(message: str, cause: str) -> TooManyRequests:
    return TooManyRequests(message, details={"causes": [{"reason": "DisruptionBudget", "message": cause}]})


#: (resource id, subresource) -> what a POST does.
CREATIONS: Mapping[tuple[str, str], Creation] = {
    ("pods", "binding"): bind,
    ("pods", "eviction"): evict,
    ("bindings", ""): bind,
}
