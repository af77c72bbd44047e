"""Serves what established definitions define: turns them into resources with their rules, whenever one changes.

It runs where the caches follow the store, so a definition that somebody has seen Established is served already. Nothing
here decides whether a definition is established: moorage.controllers.custom_resources does.
Source: apiextensions-apiserver pkg/apiserver/customresource_handler.go, customresource_discovery_controller.go (v1.37).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from moorage.api.openapi_custom import Published
from moorage.api.resources import Resources, storage_prefix
from moorage.api.watch_cache import Caches
from moorage.objects.encoded import Encoded
from moorage.objects.kinds import Resource, Subresource
from moorage.objects.metadata import Object, is_condition_true

if TYPE_CHECKING:
    from moorage.api.custom_resources.rules import CustomRules

#: Where definitions are kept.
DEFINITIONS: Final = "apiextensions.k8s.io/customresourcedefinitions"

#: In upstream's order.
_VERBS: Final = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
_SUBRESOURCE_VERBS: Final = ("get", "patch", "update")

_PATCHES: Final = ("application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml")

_VERSION: Final = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")

#: Schemas that keep everything.
_ANYTHING: Final = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


class _Known(NamedTuple):
    """What is served of a definition. source: what of it matters; seen, since: the revisions of it and of its schemas."""

    source: Any
    seen: int
    since: int
    rows: list[Resource]


class Publication:
    """Keeps `Resources` up with the definitions in the caches."""

    def __init__(self, caches: Caches, resources: Resources) -> None:
        self._caches = caches
        self._resources = resources
        #: By uid of the definition.
        self._known: dict[str, _Known] = {}
        self._served: list[Resource] = []

    def start(self) -> None:
        """Serve what is there, then follow."""
        cache = self._caches.of(DEFINITIONS)
        cache.changed.subscribe(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Serve exactly what the definitions define now."""
        known: dict[str, _Known] = {}
        for item in self._caches.of(DEFINITIONS).items():
            if not is_condition_true(item.object, "Established"):
                continue
            known[item.uid] = self._current(item)
        rows = _ordered([row for each in known.values() for row in each.rows])
        self._known = known
        if [id(row) for row in rows] != [id(row) for row in self._served]:
            gone = {storage_prefix(row) for row in self._served} - {storage_prefix(row) for row in rows}
            self._served = rows
            self._resources.replace_custom(rows)
            for row in rows:
                self._caches.of(storage_prefix(row)).select_by(_selectable(rows, row))
            for prefix in sorted(gone):
                self._caches.of(prefix).withdraw()

    def _current(self, item: Encoded) -> _Known:
        """Return the rows of a definition: those of before unless something of it changed that matters."""
        before = self._known.get(item.uid)
        if before is not None and before.seen == item.revision:
            return before
        definition = item.object
        names = (definition.get("status") or {}).get("acceptedNames")
        source = [definition["spec"], names, is_condition_true(definition, "Terminating")]
        if before is not None and before.source == source:
            return before._replace(seen=item.revision)
        since = item.revision
        if before is not None and before.source[0]["versions"] == source[0]["versions"]:
            since = before.since
        return _Known(source, item.revision, since, list(rows_of(definition, since)))

    def published(self) -> list[Published]:
        """Return what OpenAPI tells of custom resources."""
        return [Published(row, row.rules.schema) for row in self._served if row.rules is not None]


def rows_of(definition: Object, since: int) -> Iterator[Resource]:
    """Yield a resource for each served version of a definition. since: from which revision on objects follow it."""
    spec = definition["spec"]
    names = {
        **spec["names"],
        **{k: v for k, v in ((definition.get("status") or {}).get("acceptedNames") or {}).items() if v},
    }
    versions = spec["versions"]
    rules = {each["name"]: _rules_of(definition, each, since) for each in versions}
    storage = next(each["name"] for each in versions if each.get("storage"))
    for version in versions:
        if not version.get("served"):
            continue
        name = version["name"]
        own = rules[name] if name == storage else _with_stored(rules[name], rules[storage])
        yield Resource(
            group=spec["group"],
            version=name,
            plural=names["plural"],
            kind=names["kind"],
            singular=names.get("singular") or "",
            namespaced=spec["scope"] == "Namespaced",
            verbs=_VERBS,
            short_names=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            subresources={each.name: each for each in _subresources(version, names["kind"])},
            storage_version=storage,
            patches=_PATCHES,
            behaviour={
                "unconditionalUpdate": False,
                "listKind": names.get("listKind") or f"{names['kind']}List",
                "deprecationWarning": _deprecation(spec, version),
            },
            custom=True,
            rules=own,
        )


def _rules_of(definition: Object, version: Object, since: int) -> "CustomRules":
    from moorage.api.custom_resources.conversion_reviews import conversion_of
    from moorage.api.custom_resources.rules import CustomRules

    subresources = version.get("subresources") or {}
    written = (version.get("schema") or {}).get("openAPIV3Schema") or _ANYTHING
    return CustomRules(
        api_version=f"{definition['spec']['group']}/{version['name']}",
        schema=written,
        since=since,
        has_status="status" in subresources,
        scale=subresources.get("scale"),
        columns=version.get("additionalPrinterColumns") or (),
        selectable=tuple(each["jsonPath"].removeprefix(".") for each in version.get("selectableFields") or ()),
        versions=tuple(each["name"] for each in definition["spec"]["versions"]),
        is_terminating=is_condition_true(definition, "Terminating"),
        conversion=conversion_of(definition),
    )


def _with_stored(rules: "CustomRules", stored: "CustomRules") -> "CustomRules":
    return replace(rules, stored=stored)


def _subresources(version: Object, kind: str) -> Iterator[Subresource]:
    written = version.get("subresources") or {}
    if "status" in written:
        yield Subresource("status", kind, _SUBRESOURCE_VERBS)
    if "scale" in written:
        yield Subresource("scale", "Scale", _SUBRESOURCE_VERBS, "autoscaling", "v1")


def _deprecation(spec: Object, version: Object) -> str:
    """Return the warning of a deprecated version: its own, or one that names the newest version that is not."""
    if not version.get("deprecated"):
        return ""
    if own := version.get("deprecationWarning"):
        return str(own)
    group, kind, name = spec["group"], spec["names"]["kind"], version["name"]
    text = f"{group}/{name} {kind} is deprecated"
    better = [
        each["name"]
        for each in spec["versions"]
        if each.get("served") and not each.get("deprecated") and version_rank(each["name"]) < version_rank(name)
    ]
    return f"{text}; use {group}/{min(better, key=version_rank)} {kind}" if better else text


def version_rank(name: str) -> tuple[Any, ...]:
    """Return the place of a version: v10, v2, v1, v2beta1, v1beta2, v1alpha1, then others by name.

    Source: apimachinery/pkg/version, CompareKubeAwareVersionStrings.
    """
    match = _VERSION.fullmatch(name)
    if match is None:
        return (1, name)
    stage = {"beta": 1, "alpha": 2}.get(match[2] or "", 0)
    return (0, stage, -int(match[1]), -int(match[3] or 0))


def _ordered(rows: Sequence[Resource]) -> list[Resource]:
    return sorted(rows, key=lambda row: (row.group, version_rank(row.version), row.plural))


def _selectable(rows: Sequence[Resource], wanted: Resource) -> tuple[str, ...]:
    """Return the selectable fields of all versions of a resource."""
    same = [row for row in rows if row.id == wanted.id and row.rules is not None]
    return tuple(dict.fromkeys(path for row in same for path in row.rules.selectable))
