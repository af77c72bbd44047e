"""Discovery: what resources there are, in the shapes that clients ask for.

Bodies are built from rows of the table of kinds, built-in ones and custom ones; `Discovery` keeps them as bytes until the
rows change. The aggregated form is v2 only, as v1.37 has it: a client that knows v2beta1 alone gets the legacy form.
Source: apiserver pkg/endpoints/discovery and pkg/endpoints/discovery/aggregated (v1.37).
"""

import base64
import hashlib
import platform
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from moorage import __version__
from moorage.objects.api_services import CUSTOM_PRIORITY, PRIORITIES
from moorage.objects.kinds import Resource, Subresource, group_order

#: The media type of aggregated discovery; clients compare it letter by letter.
AGGREGATED: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

#: The Kubernetes version whose behaviour this is.
KUBERNETES_VERSION: Final = "v1.37.2"


class Document(NamedTuple):
    """An encoded body and its ETag, quoted."""

    body: bytes
    etag: str


class RemoteVersion(NamedTuple):
    """A group version that another server serves.

    priorities: of the group, and of the version in it, as its APIService has them.
    document:   its APIVersionDiscovery, as far as it is known.
    """

    group: str
    version: str
    priorities: tuple[int, int]
    document: Mapping[str, Any]


class Discovery:
    """The discovery documents of one set of resources, each built when it is first asked for.

    rows:    returns the resources in the order of discovery, within a group the preferred version first.
    revision: returns a number that changes whenever the rows do, or the remote versions.
    remote:  returns what other servers serve; that wins over rows of the same group version.
    """

    def __init__(
        self,
        rows: Callable[[], Iterable[Resource]],
        revision: Callable[[], int],
        remote: Callable[[], Sequence[RemoteVersion]] = tuple,
    ) -> None:
        self._rows = rows
        self._remote = remote
        self._revision = revision
        self._built_at: int | None = None
        self._documents: dict[str, Document | None] = {}

    def api(self, address: str) -> Document:
        """Return `/api`; address is `host:port` of the server."""
        return self._document(f"api {address}", lambda *_: api_versions(address))

    def apis(self) -> Document:
        """Return `/apis`."""
        return self._document("apis", group_list)

    def group(self, name: str) -> Document | None:
        """Return `/apis/<group>`, None if there is no such group."""
        return self._find(f"group {name}", lambda rows, remote: group_of(rows, name, remote))

    def resources(self, api_version: str) -> Document | None:
        """Return `/api/v1` or `/apis/<group>/<version>`, None if it is not served."""
        return self._find(f"resources {api_version}", lambda rows, _: resource_list(rows, api_version))

    def aggregated(self, *, core: bool) -> Document:
        """Return aggregated discovery of `/api` (core) or `/apis`. Its content type is AGGREGATED."""
        return self._document(f"aggregated {core}", lambda rows, remote: aggregated_list(rows, remote, core=core))

    def _document(
        self, key: str, build: Callable[[Sequence[Resource], Sequence[RemoteVersion]], Mapping[str, Any]]
    ) -> Document:
        document = self._find(key, build)
        assert document is not None  # noqa: S101 (what is built here always exists)
        return document

    def _find(
        self, key: str, build: Callable[[Sequence[Resource], Sequence[RemoteVersion]], Mapping[str, Any] | None]
    ) -> Document | None:
        revision = self._revision()
        if revision != self._built_at:
            self._built_at, self._documents = revision, {}
        if key not in self._documents:
            content = build(tuple(self._rows()), self._remote())
            self._documents[key] = None if content is None else encoded(content)
        return self._documents[key]


def encoded(content: Mapping[str, Any]) -> Document:
    """Return a body with its ETag: the SHA-512 of the bytes."""
    body = orjson.dumps(content)
    return Document(body, f'"{digest_of(body)}"')


def digest_of(content: bytes) -> str:
    """Return the SHA-512 in upper-case hexadecimal digits, as ETags and OpenAPI hashes carry it."""
    return hashlib.sha512(content).hexdigest().upper()


def version_info() -> dict[str, str]:
    """Return the body of `/version`: the Kubernetes version that this server speaks, with our own after the plus."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return {
        "major": "1",
        "minor": "37",
        "emulationMajor": "1",
        "emulationMinor": "37",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "36",
        "gitVersion": f"{KUBERNETES_VERSION}+moorage.{__version__}",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": f"python{platform.python_version()}",
        "platform": f"{platform.system().lower()}/{machine}",
    }


def api_versions(address: str) -> dict[str, Any]:
    """Return APIVersions of the core group."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def group_list(rows: Sequence[Resource], remote: Sequence[RemoteVersion] = ()) -> dict[str, Any]:
    """Return the APIGroupList of all named groups."""
    groups = [_group(name, versions) for name, versions in _versions(rows, remote).items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group_of(rows: Sequence[Resource], name: str, remote: Sequence[RemoteVersion] = ()) -> dict[str, Any] | None:
    """Return the APIGroup of a named group, None if nothing is served in it."""
    versions = _versions(rows, remote).get(name)
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)} if versions and name else None


def resource_list(rows: Sequence[Resource], api_version: str) -> dict[str, Any] | None:
    """Return the APIResourceList of a group version, None if it is not served."""
    found = sorted((row for row in rows if row.api_version == api_version), key=lambda row: row.plural)
    if not found:
        return None
    head = {"kind": "APIResourceList"} if api_version == "v1" else {"kind": "APIResourceList", "apiVersion": "v1"}
    return {**head, "groupVersion": api_version, "resources": [each for row in found for each in _listed(row)]}


def aggregated_list(rows: Sequence[Resource], remote: Sequence[RemoteVersion] = (), *, core: bool) -> dict[str, Any]:
    """Return the APIGroupDiscoveryList of the core group or of all named ones."""
    items = [
        {
            "metadata": {"name": group} if group else {},
            "versions": [_aggregated_version(version, found) for version, found in versions.items()],
        }
        for group, versions in _versions(rows, remote).items()
        if core == (not group)
    ]
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


_Versions = dict[str, dict[str, list[Resource] | RemoteVersion]]


def _versions(rows: Iterable[Resource], remote: Sequence[RemoteVersion]) -> _Versions:
    """Return rows, or who else serves them, by group and version: built-in groups in their own order, others after them.

    Groups of other servers stand where their priority puts them.
    """
    groups: _Versions = {}
    elsewhere = {(each.group, each.version) for each in remote}
    for row in rows:
        if (row.group, row.version) not in elsewhere:
            found = groups.setdefault(row.group, {}).setdefault(row.version, [])
            assert isinstance(found, list)  # noqa: S101 (the others come below)
            found.append(row)
    order = {name: place for place, name in enumerate(group_order())}
    if not remote:
        return dict(sorted(groups.items(), key=lambda item: (order.get(item[0], len(order)), item[0])))
    for each in remote:
        groups.setdefault(each.group, {})[each.version] = each
    for group, versions in groups.items():
        groups[group] = dict(sorted(versions.items(), key=lambda item: -_priorities(group, *item)[1]))

    def place_of(item: tuple[str, dict[str, list[Resource] | RemoteVersion]]) -> tuple[int, int, str]:
        group, versions = item
        priority = max(_priorities(group, *each)[0] for each in versions.items())
        return -priority, order.get(group, len(order)), group

    return dict(sorted(groups.items(), key=place_of))


def _priorities(group: str, version: str, found: list[Resource] | RemoteVersion) -> tuple[int, int]:
    """Return the priorities of a group version as its APIService has them, or would; the aggregator's own comes first."""
    if isinstance(found, RemoteVersion):
        return found.priorities
    if not group or group == "apiregistration.k8s.io":
        return sys.maxsize, 0
    return PRIORITIES.get(f"{group}/{version}", CUSTOM_PRIORITY)


def _group(name: str, versions: Mapping[str, Any]) -> dict[str, Any]:
    written = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": written, "preferredVersion": written[0]}


def _listed(row: Resource) -> Iterable[dict[str, Any]]:
    """Yield a resource and its subresources as an APIResourceList has them."""
    named = {
        "name": row.plural,
        "singularName": row.singular,
        "namespaced": row.namespaced,
        "kind": row.kind,
        "verbs": row.verbs,
    }
    more = {
        "shortNames": row.short_names,
        "categories": row.categories,
        "storageVersionHash": row.storage_version_hash or _storage_hash(row),
    }
    yield {**named, **{key: value for key, value in more.items() if value}}
    for sub in sorted(row.subresources.values(), key=lambda each: each.name):
        yield _listed_subresource(row, sub)


def _listed_subresource(row: Resource, sub: Subresource) -> dict[str, Any]:
    foreign = {"group": sub.group, "version": sub.version}
    return {
        "name": f"{row.plural}/{sub.name}",
        "singularName": "",
        "namespaced": row.namespaced,
        **{key: value for key, value in foreign.items() if value},
        "kind": sub.kind,
        "verbs": sub.verbs,
    }


def _storage_hash(row: Resource) -> str:
    """Return the storage version hash of a custom resource; built-in ones have theirs in the table."""
    if not row.custom:
        return ""
    text = f"{row.group}/{row.storage_version}/{row.kind}"
    return base64.b64encode(hashlib.sha256(text.encode()).digest()[:8]).decode()


def _aggregated_version(version: str, rows: Iterable[Resource] | RemoteVersion) -> Mapping[str, Any]:
    if isinstance(rows, RemoteVersion):
        return rows.document
    resources = [_aggregated(row) for row in sorted(rows, key=lambda row: row.plural)]
    return {"version": version, "resources": resources, "freshness": "Current"}


def _aggregated(row: Resource) -> dict[str, Any]:
    out: dict[str, Any] = {
        "resource": row.plural,
        "responseKind": _response_kind(row, row.kind),
        "scope": "Namespaced" if row.namespaced else "Cluster",
        "singularResource": row.singular,
        "verbs": row.verbs,
    }
    if row.short_names:
        out["shortNames"] = row.short_names
    if row.categories:
        out["categories"] = row.categories
    if row.subresources:
        out["subresources"] = [
            {
                "subresource": sub.name,
                "responseKind": _response_kind(row, sub.kind, sub.group, sub.version),
                "verbs": sub.verbs,
            }
            for sub in sorted(row.subresources.values(), key=lambda each: each.name)
        ]
    return out


def _response_kind(row: Resource, kind: str, group: str = "", version: str = "") -> dict[str, str]:
    """Return a kind; built-in ones of their own group version are written without it, custom ones with it."""
    if row.custom and not version:
        group, version = row.group, row.version
    return {"group": group, "version": version, "kind": kind}
