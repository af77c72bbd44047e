"""Binding: giving a pod to a node, by `pods/binding` and by the old `bindings`.

Source: kubernetes/pkg/registry/core/pod/storage BindingREST, apis/core/validation ValidatePodBinding (v1.37).
"""

from dataclasses import replace
from typing import Any

from moorage.api.answers import Answer
from moorage.api.bodies import expected_of, read_body
from moorage.api.pipeline import Tools, found, is_dry_run
from moorage.api.registry_keys import revision_conflict, uid_conflict
from moorage.api.request import Draft, Request
from moorage.api.write import Change, apply_change
from moorage.objects.errors import BadRequest, Conflict, PlainError, conflict
from moorage.objects.kinds import builtin
from moorage.objects.metadata import Object, condition_of, format_time, is_terminating, labels_of, metadata_of, name_of
from moorage.objects.validation import dns1123_subdomain_problems

#: What a subresource that makes something answers with.
SUCCESS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}

_TOPOLOGY = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


async def bind(tools: Tools, request: Request, body: Draft) -> Answer:
    """Bind a pod to a node. Raises BadRequest, Conflict, NotFound, PlainError for a target that is no node."""
    dry_run = is_dry_run(request, "CreateOptions")
    body = read_body(expected_of(request.resource, request.subresource), request, body, request.raw)
    name = request.name if request.subresource else name_of(body)
    if name_of(body) != name or not name:
        raise BadRequest("name in URL does not match name in Binding object")
    await tools.admission.ask(body, None, request, tools.lookup)
    _check_target(body.get("target") or {})
    pod = replace(request, verb="update", resource=builtin("pods"), name=name, subresource="binding")
    _check_preconditions(tools, pod, metadata_of(body))
    node = str(body["target"]["name"])
    topology = _topology_labels(tools.lookup.get("nodes", "", node))
    change = Change(lambda old: _bound(old, node, metadata_of(body), topology, request), trusted=True)
    await apply_change(tools, pod, change, dry_run=dry_run)
    return Answer(201, SUCCESS)


def _check_target(target: Object) -> None:
    """Refuse a target that is no node. Raises PlainError: upstream does not say it as a Status of its own."""
    problems = []
    kind, name = target.get("kind") or "", target.get("name") or ""
    if kind not in ("", "Node"):
        problems.append(f'target.kind: Unsupported value: "{kind}": supported values: "Node", "<empty>"')
    if not name:
        problems.append("target.name: Required value")
    else:
        problems += [f'target.name: Invalid value: "{name}": {why}' for why in dns1123_subdomain_problems(name)]
    if problems:
        raise PlainError(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")


def _check_preconditions(tools: Tools, request: Request, wanted: Object) -> None:
    item = found(tools, request)
    if wanted.get("uid") and wanted["uid"] != item.uid:
        raise uid_conflict(request.resource, item, wanted["uid"])
    if wanted.get("resourceVersion") and wanted["resourceVersion"] != str(item.revision):
        raise revision_conflict(request.resource, item, wanted["resourceVersion"])


def _bound(pod: Object, node: str, wanted: Object, topology: dict[str, str], request: Request) -> Draft:
    """Return the pod on its node; its topology labels are the node's unless it has its own."""
    spec, name = pod["spec"], name_of(pod)
    if is_terminating(pod):
        raise _refused(name, f"pod {name} is being deleted, cannot be assigned to a host")
    if spec.get("nodeName"):
        raise _refused(name, f'pod {name} is already assigned to node "{spec["nodeName"]}"')
    if spec.get("schedulingGates"):
        raise _refused(name, f"pod {name} has non-empty .spec.schedulingGates")
    metadata = dict(pod["metadata"])
    if wanted.get("annotations"):
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **wanted["annotations"]}
    if wanted.get("labels") or topology:
        metadata["labels"] = {**topology, **labels_of(pod), **(wanted.get("labels") or {})}
    return {
        **pod,
        "metadata": metadata,
        "spec": {**spec, "nodeName": node},
        "status": _scheduled(pod, format_time(request.now)),
    }


def _scheduled(pod: Object, moment: str) -> dict[str, Any]:
    """Return the status of a pod that has a node now."""
    status = pod.get("status") or {}
    condition: dict[str, Any] = {"type": "PodScheduled", "status": "True"}
    if observed := (condition_of(pod, "PodScheduled") or {}).get("observedGeneration"):
        condition["observedGeneration"] = observed
    condition |= {"lastProbeTime": None, "lastTransitionTime": moment}
    others = [each for each in status.get("conditions") or () if each["type"] != "PodScheduled"]
    kept = {key: value for key, value in status.items() if key != "nominatedNodeName"}
    return {**kept, "conditions": [*others, condition]}


def _topology_labels(node: Object | None) -> dict[str, str]:
    """Return the labels of its node that a pod gets when it is bound: zone and region."""
    labels = labels_of(node) if node is not None else {}
    return {key: labels[key] for key in _TOPOLOGY if key in labels}


def _refused(name: str, why: str) -> Conflict:
    return conflict("pods/binding", "", name, why)
