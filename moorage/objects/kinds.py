"""The table of kinds: which resources exist, and what they can do. Static ones are data (data/resources.json).

A resource is named as kubectl names it: `pods`, `statefulsets.apps`. Custom resources get the same `Resource` at run
time (moorage.api.custom_resources).
Source: discovery of v1.37.2, see scripts/extract-facts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import orjson

from moorage.objects.facts import packaged


@dataclass(frozen=True, slots=True)
class Subresource:
    """One subresource: what it answers with and its verbs; `group` and `version` when they are foreign."""

    name: str
    kind: str
    verbs: tuple[str, ...]
    group: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource in one version.

    storage_version: the version that its objects are stored in ("v1"), the same for all versions of a resource.
    behaviour: how it differs from the usual: deleteReturns ("object" or "Status"), unconditionalUpdate (a PUT without a
    resourceVersion is taken), createOnUpdate (a PUT creates what is missing); for custom ones also listKind and
    deprecationWarning.
    rules: of a custom resource what its definition says (moorage.api.custom_resources.rules), None for built-in ones.
    """

    group: str
    version: str
    plural: str
    kind: str
    singular: str
    namespaced: bool
    verbs: tuple[str, ...]
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: Mapping[str, Subresource] = field(default_factory=dict)
    storage_version: str = ""
    storage_version_hash: str = ""
    patches: tuple[str, ...] = ()
    behaviour: Mapping[str, Any] = field(default_factory=dict)
    custom: bool = False
    rules: Any = None

    @property
    def id(self) -> str:
        """The name of the resource as kubectl writes it: `pods`, `statefulsets.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        """The apiVersion of its objects: `v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = orjson.loads(packaged("resources.json"))
    return table


@cache
def group_order() -> tuple[str, ...]:
    """Return the named groups in the order in which discovery lists them (core is not among them)."""
    return tuple(_table()["groupOrder"])


@cache
def group_versions() -> tuple[str, ...]:
    """Return every group version ("v1", "apps/v1"), within a group the preferred one first."""
    return tuple(_table()["groupVersions"])


@cache
def resources_in(api_version: str) -> Mapping[str, Resource]:
    """Return the resources of one group version by plural, empty if it is not known."""
    group, _, version = api_version.rpartition("/")
    rows = _table()["groupVersions"].get(api_version, {}).get("resources", {})
    return {plural: _resource(group, version, plural, row) for plural, row in rows.items()}


def find_resource(group: str, version: str, plural: str) -> Resource | None:
    """Return one built-in resource, None if there is no such one."""
    return resources_in(f"{group}/{version}" if group else version).get(plural)


@cache
def builtin(resource_id: str) -> Resource:
    """Return the preferred version of a built-in resource by its id. Raises KeyError."""
    plural, _, group = resource_id.partition(".")
    for api_version in group_versions():
        if api_version.rpartition("/")[0] == group and plural in resources_in(api_version):
            return resources_in(api_version)[plural]
    raise KeyError(resource_id)


@cache
def resource_of_kind(api_version: str, kind: str) -> Resource | None:
    """Return the built-in resource whose objects have this apiVersion and kind, None if there is none."""
    rows = resources_in(api_version).values()
    return next((row for row in rows if row.kind == kind), None)


def _resource(group: str, version: str, plural: str, row: dict[str, Any]) -> Resource:
    return Resource(
        group=group,
        version=version,
        plural=plural,
        kind=row["kind"],
        singular=row["singular"],
        namespaced=row["namespaced"],
        verbs=tuple(row["verbs"]),
        short_names=tuple(row.get("shortNames", ())),
        categories=tuple(row.get("categories", ())),
        subresources={name: _subresource(name, sub) for name, sub in row.get("subresources", {}).items()},
        storage_version=row.get("storageVersion", "").rpartition("/")[2],
        storage_version_hash=row.get("storageVersionHash", ""),
        patches=tuple(row.get("patch", ())),
        behaviour=row.get("behaviour", {}),
    )


def _subresource(name: str, row: dict[str, Any]) -> Subresource:
    group, _, version = row.get("gv", "").rpartition("/")
    return Subresource(name, row["kind"], tuple(row["verbs"]), group, version)
