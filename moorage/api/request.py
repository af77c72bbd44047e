"""A request to the API, after HTTP and before any rule: who wants what of which object."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from moorage.objects.kinds import Resource


@dataclass(frozen=True, slots=True)
class User:
    """Who asks. `extra` as in authentication.k8s.io UserInfo."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict)


#: The identity of what runs inside the process.
SYSTEM = User("system:apiserver", ("system:masters", "system:authenticated"))


@dataclass(frozen=True, slots=True)
class Request:
    """One request about a resource.

    verb:        get, list, watch, create, update, patch, delete, deletecollection.
    name:        "" for collections. generateName is resolved later.
    query:       as in the URL, first value of each: labelSelector, fieldSelector, limit, continue, resourceVersion,
                 resourceVersionMatch, sendInitialEvents, allowWatchBookmarks, timeoutSeconds, dryRun, fieldManager,
                 fieldValidation, force, propagationPolicy, gracePeriodSeconds. Several dryRun values are joined by commas.
    now:         the time of the request: all of its timestamps are this one.
    agent:       the User-Agent, from which a field manager is named when none is given.
    duplicates:  what is wrong with the text of a patch or of YAML that its decoded form cannot show:
                 `duplicate field "metadata.name"`.
    raw:         the body itself if it is an object written in JSON: reading it with its type finds the same there.
    also:        asks whether the caller may do another verb to the same object, or raises Forbidden: an update that
                 creates needs that right too. None: the caller may do everything.
    options:     the DeleteOptions of a deletion, as they were understood.
    warnings:    texts that the answer's Warning headers will carry; rules append to it.
    """

    user: User
    verb: str
    resource: Resource
    namespace: str
    name: str
    now: datetime
    subresource: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    agent: str = ""
    warnings: list[str] = field(default_factory=list)
    duplicates: tuple[str, ...] = ()
    raw: bytes | None = None
    also: Callable[[str], Awaitable[None]] | None = None
    options: Mapping[str, Any] | None = None

    @property
    def is_dry_run(self) -> bool:
        """Whether everything happens but the write."""
        return bool(self.query.get("dryRun"))

    def warn(self, text: str) -> None:
        """Tell the client something with its answer, once."""
        if text not in self.warnings:
            self.warnings.append(text)


#: A decoded request body, not yet stored: rules may change it in place, nobody else has seen it.
Draft = dict[str, Any]
