"""Why a pod has no node: the scheduler's own reasons as one sentence, and the claim, volume or node behind them.

The texts are those of the scheduler's plugins (moorage.scheduler), the same in every Kubernetes of this version.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from moorage.objects.metadata import Object, Ref, condition_of, labels_of, name_of, namespace_of
from moorage.objects.nodes import is_unschedulable
from moorage.objects.pods import claims_of, spec_of
from moorage.objects.volumes import class_of, is_fully_bound, is_reachable_from, volume_name_of
from moorage.scheduler import affinity, filters, spread
from moorage.scheduler import volumes as scheduler_volumes
from moorage.why.cause import Cause, cut, kubectl
from moorage.why.world import Unreadable, World

DEFAULT_SCHEDULER: Final = "default-scheduler"
CLAIMS: Final = "persistentvolumeclaims"

_UNREACHABLE: Final = "PersistentVolume's node affinity"
_NO_VOLUME: Final = "find available persistent volumes to bind"
_UNBOUND: Final = scheduler_volumes.UNBOUND.reasons[0]
_HEAD: Final = re.compile(
    r"0/(\d+) nodes are available: (.*?)\.(?: preemption:.*| no new claims.*| Preemption.*)?$", re.DOTALL
)

#: A plugin's text -> what one node does, what several do.
_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    filters.CORDONED.reasons[0]: ("is cordoned", "are cordoned"),
    filters.TAINTED.reasons[0]: ("has a taint that it does not tolerate", "have taints that it does not tolerate"),
    filters.UNWANTED.reasons[0]: ("does not match its node selector", "do not match its node selector or affinity"),
    filters.NOT_NAMED.reasons[0]: ("is not the one that it names", "are not the one that it names"),
    filters.PORTS_TAKEN.reasons[0]: ("has its host port taken", "have its host port taken"),
    filters.TOO_MANY: ("is full of pods", "are full of pods"),
    spread.UNEVEN.reasons[0]: ("would spread its pods unevenly", "would spread its pods unevenly"),
    affinity.NOT_NEAR.reasons[0]: ("lacks the pods that it must be near", "lack the pods that it must be near"),
    affinity.TOO_NEAR.reasons[0]: ("has a pod that it must not be near", "have a pod that it must not be near"),
    affinity.KEPT_AWAY.reasons[0]: ("has a pod that keeps it away", "have a pod that keeps it away"),
    "node(s) didn't match " + _UNREACHABLE: ("does not reach its volume", "do not reach its volume"),
    "node(s) didn't " + _NO_VOLUME: ("has no volume for its claim", "have no volume for its claim"),
}


def explain(pod: Object, world: World) -> Cause:
    """Return why a pod is not bound to a node."""
    gates = [str(each.get("name")) for each in spec_of(pod).get("schedulingGates") or ()]
    namespace, name = namespace_of(pod), name_of(pod)
    show = kubectl(f"describe pod {name}", namespace)
    if gates:
        return Cause(f"is not scheduled before its scheduling gates are removed: {', '.join(gates)}", show)
    condition = condition_of(pod, "PodScheduled")
    if condition is None or not condition.get("message"):
        scheduler = str(spec_of(pod).get("schedulerName") or DEFAULT_SCHEDULER)
        if scheduler != DEFAULT_SCHEDULER:
            return Cause(f"waits for the scheduler {scheduler}, which has said nothing about it yet", show)
        return Cause("is Pending: the scheduler has not looked at it yet", show)
    message = str(condition["message"])
    says = f"is Pending: {tell(message)}"
    try:
        behind = _behind(pod, world, message, says)
    except Unreadable:  # who may not read nodes and volumes still learns what the scheduler says
        behind = None
    return behind or Cause(says, _command(message, pod))


def tell(message: str) -> str:
    """Return the scheduler's message as a sentence: "none of 3 nodes takes it: 2 are cordoned, 1 …"."""
    found = _HEAD.match(message)
    if found is None:
        return cut(message)
    nodes, parts = int(found[1]), re.split(r", (?=\d+ )", found[2])
    told = ", ".join(_part(each) for each in parts)
    return f"the only node does not take it: {told}" if nodes == 1 else f"none of {nodes} nodes takes it: {told}"


def _part(text: str) -> str:
    number, _, reason = text.partition(" ")
    if not number.isdigit():
        return cut(text)
    is_one = number == "1"
    if reason.startswith("Insufficient "):
        what = reason.removeprefix("Insufficient ")
        return f"{number} {'has' if is_one else 'have'} too little {what} left"
    words = _WORDS.get(reason)
    return f"{number} {words[0] if is_one else words[1]}" if words else f"{number} {reason.removeprefix('node(s) ')}"


def _behind(pod: Object, world: World, message: str, says: str) -> Cause | None:
    """Return the cause with the object that holds the pod up, None if it is the pod against all nodes."""
    claim_missing = re.search(r'persistentvolumeclaim "([^"]+)" not found', message)
    namespace = namespace_of(pod)
    if claim_missing:
        holder = Ref(CLAIMS, namespace, claim_missing[1])
        return Cause("is Pending: a claim that it mounts is not there", holder=holder, absent=_no_claim(holder))
    if _UNBOUND in message:
        for ref, claim in _claims(pod, world):
            if claim is None or not is_fully_bound(claim):
                return Cause(f"is Pending: its claim {ref.name} is not bound", holder=ref, absent=_no_claim(ref))
    if _NO_VOLUME in message:
        for ref, claim in _claims(pod, world):
            if claim is not None and not is_fully_bound(claim):
                return Cause(says, _no_volume(claim), holder=ref, held_as="fits no free volume on them")
    if _UNREACHABLE in message:
        return _tied(pod, world, says)
    nodes = world.list("nodes")
    if not nodes:
        return Cause("is Pending: the cluster has no nodes", "moorage up --simulated-nodes 1, or add a node")
    cordoned = [each for each in nodes if is_unschedulable(each)]
    if cordoned and (filters.CORDONED.reasons[0] in message) and len(cordoned) == len(nodes):
        return Cause(says, holder=Ref("nodes", "", name_of(cordoned[0])))
    return None


def _claims(pod: Object, world: World) -> Sequence[tuple[Ref, Object | None]]:
    refs = [Ref(CLAIMS, namespace_of(pod), name) for name in claims_of(pod)]
    return [(ref, world.get(ref)) for ref in refs]


def _tied(pod: Object, world: World, says: str) -> Cause | None:
    """Return the volume that can only be used elsewhere; its node, if that is what takes no pods."""
    for _, claim in _claims(pod, world):
        if claim is None or not volume_name_of(claim):
            continue
        ref = Ref("persistentvolumes", "", volume_name_of(claim))
        volume = world.get(ref)
        if volume is None:
            return Cause(says, holder=ref)
        nodes = world.list("nodes")
        reaching = [each for each in nodes if is_reachable_from(volume, labels_of(each), name_of(each))]
        if len(reaching) == len(nodes):
            continue
        if len(reaching) == 1:
            where = name_of(reaching[0])
            told = f"is Pending: its volume {ref.name} is on node {where} alone; {tell_rest(says)}"
            return Cause(told, kubectl(f"describe node {where}"), Ref("nodes", "", where), "does not suit the pod")
        told = "can be used on no node that is there" if not reaching else f"needs one of {len(reaching)} nodes"
        return Cause(says, kubectl(f"describe pv {ref.name}"), ref, told)
    return None


def tell_rest(says: str) -> str:
    """Return the sentence without its beginning "is Pending: "."""
    return says.removeprefix("is Pending: ")


def _no_claim(ref: Ref) -> str:
    return f"create it: {kubectl('apply -f CLAIM.yaml', ref.namespace)} (a PersistentVolumeClaim named {ref.name})"


def _no_volume(claim: Object) -> str:
    return f"kubectl get pv, then create one of class {class_of(claim) or 'none'} that suits {name_of(claim)}"


def _command(message: str, pod: Object) -> str:
    if filters.TAINTED.reasons[0].removesuffix("(s)") in message:
        return "kubectl get nodes -o custom-columns=NAME:.metadata.name,TAINTS:.spec.taints"
    if filters.UNWANTED.reasons[0] in message:
        return "kubectl get nodes --show-labels"
    if "Insufficient" in message or filters.CORDONED.reasons[0] in message:
        return "kubectl describe nodes, then make room or ask for less"
    return kubectl(f"describe pod {name_of(pod)}", namespace_of(pod))
