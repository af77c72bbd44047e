"""Nodes that take no pods, APIs that are not served, definitions that are not established."""

from collections.abc import Iterable

from moorage.objects.metadata import Object, Ref, condition_of, name_of
from moorage.objects.nodes import is_node_ready, is_unschedulable
from moorage.why.cause import Cause, cut, kubectl
from moorage.why.world import Unreadable, World


def explain_node(node: Object, _: World) -> Cause | None:
    """Return why a node takes no pods: silent, not ready, cordoned, short of something."""
    name = name_of(node)
    show = f"kubectl describe node {name}"
    ready = condition_of(node, "Ready") or {}
    if ready.get("status") == "Unknown":
        return Cause(
            f"is silent: {cut(str(ready.get('message') or 'its kubelet says nothing'))}",
            f"{show} (start its kubelet, or delete the node)",
        )
    if not is_node_ready(node):
        return Cause(
            f"is not ready: {cut(str(ready.get('message') or ready.get('reason') or 'it has not said so yet'))}", show
        )
    if is_unschedulable(node):
        return Cause("is cordoned: it takes no new pods", f"kubectl uncordon {name}")
    pressed = [
        str(each.get("type"))
        for each in _conditions(node)
        if each.get("type") != "Ready" and each.get("status") == "True"
    ]
    return Cause(f"is short of something: {', '.join(pressed)}", show) if pressed else None


def is_absent_or_silent(node: Ref, world: World) -> bool:
    """Tell whether a node is not there or not ready; who may not read nodes learns no. Raises Missing."""
    try:
        found = world.get(node)
    except Unreadable:
        return False
    return found is None or not is_node_ready(found)


def _conditions(obj: Object) -> Iterable[Object]:
    return (obj.get("status") or {}).get("conditions") or ()


def explain_api_service(service: Object, _: World) -> Cause | None:
    """Return why an aggregated API is not available."""
    available = condition_of(service, "Available") or {}
    if available.get("status") == "True":
        return None
    behind = (service.get("spec") or {}).get("service") or {}
    told = cut(str(available.get("message") or "nobody has looked at it yet"))
    holder = Ref("services", str(behind["namespace"]), str(behind["name"])) if behind else None
    says = f"is not available ({available.get('reason') or 'Unknown'}): {told}"
    return Cause(says, f"kubectl describe apiservice {name_of(service)}", holder)


def explain_definition(definition: Object, _: World) -> Cause | None:
    """Return why a CustomResourceDefinition is not served."""
    show = f"kubectl describe crd {name_of(definition)}"
    names = condition_of(definition, "NamesAccepted") or {}
    if names.get("status") == "False":
        return Cause(f"is not served: its names are taken: {cut(str(names.get('message') or ''))}", show)
    established = condition_of(definition, "Established") or {}
    if established.get("status") != "True":
        return Cause(
            f"is not established: {cut(str(established.get('message') or 'nobody has looked at it yet'))}", show
        )
    structure = condition_of(definition, "NonStructuralSchema") or {}
    if structure.get("status") == "True":
        return Cause(f"has a schema that is not structural: {cut(str(structure.get('message') or ''))}", show)
    return None


def explain_hooks(configuration: Object, world: World) -> Cause | None:
    """Return the first webhook whose Service does not exist."""
    for hook in configuration.get("webhooks") or ():
        service = (hook.get("clientConfig") or {}).get("service")
        if service:
            ref = Ref("services", str(service.get("namespace")), str(service.get("name")))
            if world.get(ref) is None:
                show = kubectl(f"get services {ref.name}", ref.namespace)
                return Cause(
                    f"calls webhook {hook.get('name')} at service {ref.namespace}/{ref.name}", holder=ref, absent=show
                )
    return None
