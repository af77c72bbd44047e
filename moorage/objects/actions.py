"""What a rule may ask for: actions as values. The reconciler performs them in order (moorage.reconciler.apply).

Every action names what it expects (uid, resourceVersion), so that it cannot hit another object of the same name.
"""

from dataclasses import dataclass

from moorage.objects.metadata import Object, Ref


@dataclass(frozen=True, slots=True)
class Create:
    """Create `obj` in `resource`. An AlreadyExists is expected and ends the round; `on` names the object it is for."""

    resource: str
    obj: Object


@dataclass(frozen=True, slots=True)
class Update:
    """Replace the object by `obj`, which carries the resourceVersion that was observed."""

    resource: str
    obj: Object


@dataclass(frozen=True, slots=True)
class Patch:
    """Merge-patch (RFC 7386) the object at `ref`; `ref.uid`, when set, must match."""

    ref: Ref
    patch: Object
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the object at `ref`; `ref.uid`, when set, must match. NotFound counts as done."""

    ref: Ref
    grace_seconds: int | None = None
    propagation: str = ""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class SetStatus:
    """Replace the status of `obj` (which carries the observed resourceVersion) by `obj["status"]`."""

    resource: str
    obj: Object


@dataclass(frozen=True, slots=True)
class Bind:
    """Bind the pod at `ref` to a node."""

    ref: Ref
    node: str


@dataclass(frozen=True, slots=True)
class Record:
    """Write a Kubernetes Event about `regarding`. Never fails the round."""

    regarding: Object
    reason: str
    message: str
    kind: str = "Normal"
    action: str = ""


Action = Create | Update | Patch | Delete | SetStatus | Bind | Record
