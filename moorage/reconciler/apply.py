"""Performs what a rule decided, through the Client, and says what came of it.

Actions go in order; the first failure ends the round, because the next one sees the truth. What the API refuses is a
result: the outcome names it, the Events that the action carries tell the user.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import takewhile
from typing import Any, Final

from moorage.client.client import Client, Selection, Target
from moorage.objects.actions import (
    Action,
    Bind,
    Confirm,
    ConfirmGone,
    ConfirmNone,
    Create,
    Delete,
    DeleteAll,
    DeleteVolumeData,
    Patch,
    ProvisionVolume,
    Record,
    SetStatus,
    Update,
)
from moorage.objects.errors import AlreadyExists, Conflict, Expired, NotFound, StatusError
from moorage.objects.metadata import Object, Ref, is_terminating, metadata_of, name_of, revision_of, uid_of
from moorage.reconciler.barrier import Written
from moorage.reconciler.events import Recorder
from moorage.reconciler.provision import Provisioner

#: Refusals that only say that the cache was behind: nothing to tell the user, look again.
_STALE: Final = (Conflict, NotFound, Expired)


class Verdict(Enum):
    """How a round ended."""

    DONE = "done"
    STALE = "stale"  # the world had moved on: look again
    REFUSED = "refused"  # the API does not want it: look again later
    LOST = "lost"  # the connection broke: nobody knows


@dataclass(slots=True)
class Outcome:
    """What came of a round: `changes` writes were made, `error` ended it."""

    verdict: Verdict = Verdict.DONE
    changes: int = 0
    written: Written = field(default_factory=Written)
    error: Exception | None = None


class Applier:
    """Performs actions for one component, under whose name its Events are written."""

    def __init__(
        self, client: Client, recorder: Recorder, component: str, provisioner: Provisioner | None = None
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._component = component
        self._provisioner = provisioner or Provisioner(client, {})

    async def apply(self, actions: Sequence[Action]) -> Outcome:
        """Perform the actions in order; never raises for what the API or the connection refuses."""
        outcome = Outcome()
        rest = list(actions)
        while rest and outcome.error is None:
            group = _group_of(rest)
            del rest[: len(group)]
            if len(group) == 1:
                await self._attempt(group[0], outcome)
            else:
                await self._attempt_together(group, outcome)
        if outcome.verdict is Verdict.REFUSED:
            await self._report_failure(rest, outcome)
        return outcome

    async def _attempt_together(self, group: Sequence[Action], outcome: Outcome) -> None:
        """Perform neighbours at the same time: creations in batches that double until one fails, deletions at once."""
        size = 1 if isinstance(group[0], Create) else len(group)
        start = 0
        while start < len(group) and outcome.error is None:
            batch = group[start : start + size]
            await asyncio.gather(*(self._attempt(each, outcome) for each in batch))
            start += size
            size *= 2

    async def _attempt(self, action: Action, outcome: Outcome) -> None:
        try:
            answer = await self._perform(action, outcome)
        except StatusError as error:
            self._refused(action, error, outcome)
        except (ConnectionError, TimeoutError) as error:
            outcome.verdict, outcome.error = Verdict.LOST, error
            if resource := _resource_of(action):
                outcome.written.lost.add(resource)
        else:
            self._tell(getattr(action, "done", ()), name=name_of(answer or {}))

    async def _perform(self, action: Action, outcome: Outcome) -> Object | None:
        """Perform one action. Returns the answer of a creation or an update, None otherwise."""
        match action:
            case Create():
                return self._wrote(action.resource, await self._client.create(action.resource, action.obj), outcome)
            case Update():
                answer = await self._client.update(action.resource, action.obj, subresource=action.subresource)
                return self._wrote(action.resource, answer, outcome)
            case Patch():
                target = _target(action.ref, action.subresource)
                self._wrote(action.ref.resource, await self._client.patch(target, _guarded(action)), outcome)
            case Delete():
                await self._delete(action, outcome)
            case SetStatus():
                if not action.unchanged:
                    await self._set_status(action.resource, action.obj, outcome)
            case Bind():
                answer = await self._client.create("pods", _binding(action), subresource="binding")
                self._wrote("pods", answer, outcome)
            case Confirm() | ConfirmGone() | ConfirmNone():
                await self._check(action)
            case Record():
                self._recorder.record(action, self._component)
            case DeleteAll() | ProvisionVolume() | DeleteVolumeData():
                await self._perform_many(action, outcome)
        return None

    async def _perform_many(self, action: DeleteAll | ProvisionVolume | DeleteVolumeData, outcome: Outcome) -> None:
        """Perform an action that consists of several writes."""
        match action:
            case DeleteAll():
                await self._client.delete_collection(action.resource, Selection(action.namespace))
                outcome.changes += 1
            case ProvisionVolume():
                for resource, answer in await self._provisioner.provision(action):
                    self._wrote(resource, answer, outcome)
            case DeleteVolumeData():
                for resource, answer in await self._provisioner.delete(action):
                    self._wrote(resource, answer, outcome)

    async def _check(self, action: Confirm | ConfirmGone | ConfirmNone) -> None:
        """Ask the API itself. Raises Conflict, NotFound when it says otherwise."""
        match action:
            case Confirm():
                await self._confirm(action.ref)
            case ConfirmGone():
                await self._confirm_gone(action.ref)
            case ConfirmNone():
                await self._confirm_none(action)

    async def _delete(self, action: Delete, outcome: Outcome) -> None:
        try:
            await self._client.delete(_target(action.ref), _delete_options(action))
        except NotFound:
            return
        outcome.changes += 1
        outcome.written.deleted.append(action.ref)

    async def _set_status(self, resource: str, obj: Object, outcome: Outcome) -> None:
        self._wrote(resource, await self._client.update(resource, obj, subresource="status"), outcome)

    async def _confirm(self, ref: Ref) -> None:
        found = await self._client.get(_target(ref))
        if uid_of(found) != ref.uid or is_terminating(found):
            raise Conflict(f"{ref} with uid {ref.uid} is gone or being deleted")

    async def _confirm_gone(self, ref: Ref) -> None:
        try:
            found = await self._client.get(_target(ref))
        except NotFound:
            return
        if not ref.uid or uid_of(found) == ref.uid:
            raise Conflict(f"{ref} is still there")

    async def _confirm_none(self, action: ConfirmNone) -> None:
        listing = await self._client.list(action.resource, Selection(action.namespace))
        for item in listing.items:
            if action.matches is None or action.matches(item.object):
                raise Conflict(f"{action.resource} {action.namespace}/{item.name} is still there")

    async def _report_failure(self, rest: Sequence[Action], outcome: Outcome) -> None:
        """Write the statuses that tell of a failed round."""
        for action in rest:
            if isinstance(action, SetStatus) and action.when_failed is not None:
                status = _with_error(action.when_failed, str(outcome.error))
                try:
                    await self._set_status(action.resource, {**action.obj, "status": status}, outcome)
                except _STALE:
                    return
                except (StatusError, ConnectionError, TimeoutError) as error:
                    outcome.error = error
                    return

    def _wrote(self, resource: str, answer: Object, outcome: Outcome) -> Object:
        outcome.changes += 1
        outcome.written.note(resource, revision_of(answer))
        return answer

    def _refused(self, action: Action, error: StatusError, outcome: Outcome) -> None:
        if outcome.error is not None and outcome.verdict is Verdict.REFUSED:
            stale = True
        else:
            stale = isinstance(error, _STALE) or _is_namespace_terminating(error)
            outcome.error = error
            outcome.verdict = Verdict.STALE if stale else Verdict.REFUSED
        if not isinstance(error, (*_STALE, AlreadyExists)) and not _is_namespace_terminating(error):
            self._tell(getattr(action, "failed", ()), error=error.message)

    def _tell(self, records: Sequence[Record], *, name: str = "", error: str = "") -> None:
        for record in records:
            message = record.message.replace("{name}", name).replace("{error}", error)
            told = Record(record.regarding, record.reason, message, record.kind, record.action)
            self._recorder.record(told, self._component)


def _group_of(actions: Sequence[Action]) -> list[Action]:
    """Return the first action, with those after it that may run beside it."""
    first = actions[0]
    if not getattr(first, "together", False):
        return [first]
    return list(takewhile(lambda each: type(each) is type(first) and getattr(each, "together", False), actions))


def _target(ref: Ref, subresource: str = "") -> Target:
    return Target(ref.resource, ref.namespace, ref.name, subresource)


def _resource_of(action: Action) -> str:
    match action:
        case Create() | Update() | SetStatus():
            return action.resource
        case Patch() | Delete():
            return action.ref.resource
        case DeleteAll():
            return action.resource
        case ProvisionVolume() | DeleteVolumeData():
            return "persistentvolumes"
        case Bind():
            return "pods"
        case _:
            return ""


def _guarded(action: Patch) -> Object:
    """Return the patch with the uid that it expects."""
    if not action.ref.uid or action.subresource:
        return action.patch
    return {**action.patch, "metadata": {"uid": action.ref.uid, **metadata_of(action.patch)}}


def _delete_options(action: Delete) -> Object | None:
    preconditions: dict[str, str] = {}
    if action.ref.uid:
        preconditions["uid"] = action.ref.uid
    if action.revision:
        preconditions["resourceVersion"] = str(action.revision)
    options: dict[str, Any] = {}
    if preconditions:
        options["preconditions"] = preconditions
    if action.grace_seconds is not None:
        options["gracePeriodSeconds"] = action.grace_seconds
    if action.propagation:
        options["propagationPolicy"] = action.propagation
    return {"kind": "DeleteOptions", "apiVersion": "v1", **options} if options else None


def _binding(action: Bind) -> Object:
    metadata = {"name": action.ref.name, "namespace": action.ref.namespace}
    if action.ref.uid:
        metadata["uid"] = action.ref.uid
    target = {"kind": "Node", "name": action.node}
    return {"kind": "Binding", "apiVersion": "v1", "metadata": metadata, "target": target}


def _with_error(status: Object, error: str) -> Object:
    conditions = status.get("conditions")
    if not conditions:
        return status
    told = [{**each, "message": str(each.get("message") or "").replace("{error}", error)} for each in conditions]
    return {**status, "conditions": told}


def _is_namespace_terminating(error: StatusError) -> bool:
    causes = (error.details or {}).get("causes") or ()
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)
