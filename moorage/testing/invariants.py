"""What must hold at every moment of a simulation: each invariant is a sentence and a function over one change.

They are about the world as the store's log tells it, so they judge API, controllers, scheduler and nodes together.
"""

from collections.abc import Mapping
from typing import Final

from moorage.objects.metadata import (
    Object,
    controller_of,
    finalizers_of,
    generation_of,
    is_terminating,
    metadata_of,
    name_of,
    namespace_of,
    uid_of,
)
from moorage.objects.pods import claims_of, is_finished, is_running_and_ready, node_of, phase_of
from moorage.testing.history import Check, History, Step

#: A finalizer that only a simulated user sets and removes.
HOLD: Final = "simulation.moorage.dev/hold"

#: How old the knowledge of a controller may be, in seconds: watches are delayed, repeated and listed anew.
KNOWLEDGE_SECONDS: Final = 15.0


def keeps_node(_: History, step: Step) -> str | None:
    """A pod that was bound stays with its node."""
    if step.resource != "pods" or step.before is None or step.after is None:
        return None
    before, after = node_of(step.before), node_of(step.after)
    return f"{name_of(step.after)} moved from {before} to {after!r}" if before and before != after else None


def keeps_identity(_: History, step: Step) -> str | None:
    """A uid and a creationTimestamp stand as long as the object."""
    if step.before is None or step.after is None:
        return None
    for field in ("uid", "creationTimestamp"):
        before, after = metadata_of(step.before).get(field), metadata_of(step.after).get(field)
        if before != after:
            return f"{field} of {name_of(step.after)} was {before} and is {after}"
    return None


def keeps_deletion(_: History, step: Step) -> str | None:
    """Deletion is never taken back."""
    if step.before is None or step.after is None or not is_terminating(step.before) or is_terminating(step.after):
        return None
    return f"{name_of(step.after)} is no longer being deleted"


def keeps_generation(_: History, step: Step) -> str | None:
    """The generation never falls, and a changed spec of a workload raises it."""
    if step.before is None or step.after is None:
        return None
    before, after = generation_of(step.before), generation_of(step.after)
    if after < before:
        return f"the generation of {name_of(step.after)} fell from {before} to {after}"
    is_same = step.before.get("spec") == step.after.get("spec")
    if before and after == before and not is_same and step.resource in _GENERATED:
        return f"the spec of {name_of(step.after)} changed, its generation {before} did not"
    return None


def keeps_hold(history: History, step: Step) -> str | None:
    """What a user's finalizer holds goes only after the user let go of it."""
    if step.after is not None or step.before is None or HOLD not in finalizers_of(step.before):
        return None
    # The update that removes the last finalizer of a deleted object is the deletion: it is not written before.
    return None if uid_of(step.before) in history.released else f"{name_of(step.before)} went although it was held"


def keeps_end(_: History, step: Step) -> str | None:
    """A pod that ended stays ended."""
    if step.resource != "pods" or step.before is None or step.after is None:
        return None
    if not is_finished(step.before) or phase_of(step.before) == phase_of(step.after):
        return None
    return f"{name_of(step.after)} went from {phase_of(step.before)} to {phase_of(step.after)}"


def keeps_volume(_: History, step: Step) -> str | None:
    """A claim keeps its volume, a volume keeps its claim until it is released."""
    if step.before is None or step.after is None:
        return None
    if step.resource == "persistentvolumeclaims":
        before, after = _volume_of(step.before), _volume_of(step.after)
        return f"{name_of(step.after)} went from volume {before} to {after!r}" if before and before != after else None
    if step.resource == "persistentvolumes":
        owner, heir = _claimant_of(step.before), _claimant_of(step.after)
        return f"{name_of(step.after)} went from claim {owner} to {heir}" if owner and heir and owner != heir else None
    return None


def shares_no_volume(history: History, step: Step) -> str | None:
    """A volume serves one claim."""
    if step.resource != "persistentvolumeclaims" or step.after is None or not _volume_of(step.after):
        return None
    volume = _volume_of(step.after)
    others = [name_of(each) for each in history.all(step.resource) if _volume_of(each) == volume]
    others = [name for name in others if name != name_of(step.after)]
    return f"{name_of(step.after)} and {others[0]} both have {volume}" if others else None


def keeps_mounted_claim(history: History, step: Step) -> str | None:
    """A claim stays while a pod that was bound to a node uses it."""
    if step.resource != "persistentvolumeclaims" or step.after is not None or step.before is None:
        return None
    for pod in history.all("pods"):
        is_user = namespace_of(pod) == namespace_of(step.before) and name_of(step.before) in claims_of(pod)
        if is_user and node_of(pod) and not is_finished(pod):
            return f"{name_of(step.before)} went while {name_of(pod)} used it"
    return None


class StartsInOrder:
    """Pod n of an ordered StatefulSet is created when pod n-1 is ready, as far as anybody could know."""

    def __init__(self) -> None:
        self._ready: dict[tuple[str, str], float] = {}

    def __call__(self, history: History, step: Step) -> str | None:
        """Return what is wrong with the creation of a pod."""
        if step.resource != "pods":
            return None
        key = (namespace_of(step.object), name_of(step.object))
        if step.before is not None and is_running_and_ready(step.before):
            self._ready[key] = step.at
        if step.before is not None or step.after is None:
            return None
        owner = _ordered_owner(history, step.after)
        if owner is None:
            return None
        start = ((owner.get("spec") or {}).get("ordinals") or {}).get("start") or 0
        ordinal = int(name_of(step.after).rpartition("-")[2])
        if ordinal <= start:
            return None
        earlier = (key[0], f"{name_of(owner)}-{ordinal - 1}")
        pod = history.get("pods", *earlier)
        if pod is not None and is_running_and_ready(pod):
            return None
        if step.at - self._ready.get(earlier, -KNOWLEDGE_SECONDS - 1) <= KNOWLEDGE_SECONDS:
            return None
        return f"{name_of(step.after)} was created before {earlier[1]} was ready"


_GENERATED: Final = ("statefulsets", "replicasets", "deployments", "daemonsets", "replicationcontrollers")


def invariants() -> Mapping[str, Check]:
    """Return all invariants by their sentences, for one run."""
    return {
        "A pod never changes its node.": keeps_node,
        "An object keeps its uid and its time of creation.": keeps_identity,
        "Deletion is never taken back.": keeps_deletion,
        "A generation never falls, and follows the spec.": keeps_generation,
        "Nothing goes while a user's finalizer holds it.": keeps_hold,
        "A pod that has ended never runs again.": keeps_end,
        "A claim keeps its volume, a volume its claim.": keeps_volume,
        "No volume serves two claims.": shares_no_volume,
        "A claim stays while a pod uses it.": keeps_mounted_claim,
        "An ordered StatefulSet never gains pod n while n-1 is not ready.": StartsInOrder(),
    }


def _volume_of(claim: Object) -> str:
    return str((claim.get("spec") or {}).get("volumeName") or "")


def _claimant_of(volume: Object) -> str:
    return str(((volume.get("spec") or {}).get("claimRef") or {}).get("uid") or "")


def _ordered_owner(history: History, pod: Object) -> Object | None:
    """Return the StatefulSet with the policy OrderedReady that controls the pod."""
    owner = controller_of(pod)
    if owner is None or owner["kind"] != "StatefulSet":
        return None
    found = history.get("statefulsets", namespace_of(pod), owner["name"])
    if found is None or uid_of(found) != owner["uid"]:
        return None
    return found if (found.get("spec") or {}).get("podManagementPolicy", "OrderedReady") == "OrderedReady" else None
