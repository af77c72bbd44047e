"""What a rule may ask for: actions as values. The reconciler performs them in order (moorage.reconciler.apply).

Every action names what it expects (uid, resourceVersion), so that it cannot hit another object of the same name.

Actions carry the Events that tell about their outcome: `done` is written after success, `failed` after a refusal. In
their messages `{name}` stands for the name that the API server generated, `{error}` for what it answered.
Neighbours that say `together` may run at the same time: creations in batches of 1, 2, 4, 8… until one fails, as
upstream's slow start does, deletions all at once.
"""

from collections.abc import Callable
from dataclasses import dataclass

from moorage.objects.metadata import Object, Ref


@dataclass(frozen=True, slots=True)
class Record:
    """Write a Kubernetes Event about `regarding`. Never fails the round.

    path: the part of the object that it is about (`spec.containers{web}`); host: the node that tells.
    """

    regarding: Object
    reason: str
    message: str
    kind: str = "Normal"
    action: str = ""
    path: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class Create:
    """Create `obj` in `resource`. An AlreadyExists ends the round without an Event."""

    resource: str
    obj: Object
    done: tuple[Record, ...] = ()
    failed: tuple[Record, ...] = ()
    together: bool = False


@dataclass(frozen=True, slots=True)
class Update:
    """Replace the object (or its `subresource`) by `obj`, which carries the resourceVersion that was observed."""

    resource: str
    obj: Object
    done: tuple[Record, ...] = ()
    failed: tuple[Record, ...] = ()
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Patch:
    """Merge-patch (RFC 7386) the object at `ref`; `ref.uid`, when set, must match."""

    ref: Ref
    patch: Object
    subresource: str = ""
    done: tuple[Record, ...] = ()
    failed: tuple[Record, ...] = ()


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the object at `ref`; `ref.uid`, when set, must match. NotFound counts as done."""

    ref: Ref
    grace_seconds: int | None = None
    propagation: str = ""
    revision: int = 0
    done: tuple[Record, ...] = ()
    failed: tuple[Record, ...] = ()
    together: bool = False


@dataclass(frozen=True, slots=True)
class Confirm:
    """End the round unless the API itself still has the object at `ref`, with `ref.uid` and not being deleted.

    Guards what a stale cache must not lead to, such as adopting pods for a set that is gone.
    """

    ref: Ref


@dataclass(frozen=True, slots=True)
class SetStatus:
    """Replace the status of `obj` (which carries the observed resourceVersion) by `obj["status"]`.

    when_failed: the status to write when an earlier action of the round was refused, `{error}` in the messages of its
                 conditions replaced; None: then nothing is written.
    unchanged:   `obj["status"]` is what is stored already, so that only `when_failed` can be worth a write.
    """

    resource: str
    obj: Object
    when_failed: Object | None = None
    unchanged: bool = False


@dataclass(frozen=True, slots=True)
class Bind:
    """Bind the pod at `ref` to a node."""

    ref: Ref
    node: str


@dataclass(frozen=True, slots=True)
class DeleteAll:
    """Delete every object of `resource` in a namespace."""

    resource: str
    namespace: str


@dataclass(frozen=True, slots=True)
class ConfirmGone:
    """End the round if the API itself still has the object at `ref` with `ref.uid`.

    Guards what must not happen only because a cache is behind, such as collecting what has a young owner.
    """

    ref: Ref


@dataclass(frozen=True, slots=True)
class ConfirmNone:
    """End the round if the API itself has an object of `resource` in the namespace that `matches` (None: any)."""

    resource: str
    namespace: str
    matches: Callable[[Object], bool] | None = None


@dataclass(frozen=True, slots=True)
class ProvisionVolume:
    """Have the driver of `provisioner` make the volume for a claim, and create its PersistentVolume.

    claim: the claim as observed; name: the volume's; node: where it must be reachable, "" if anywhere.
    """

    provisioner: str
    claim: Object
    storage_class: Object
    name: str
    size_bytes: int
    node: str = ""
    done: tuple[Record, ...] = ()
    failed: tuple[Record, ...] = ()


@dataclass(frozen=True, slots=True)
class DeleteVolumeData:
    """Have the driver of `provisioner` remove the data of a released volume whose policy is Delete, then the volume."""

    provisioner: str
    volume: Object
    done: tuple[Record, ...] = ()
    failed: tuple[Record, ...] = ()


Action = (
    Create
    | Update
    | Patch
    | Delete
    | DeleteAll
    | Confirm
    | ConfirmGone
    | ConfirmNone
    | SetStatus
    | Bind
    | Record
    | ProvisionVolume
    | DeleteVolumeData
)
