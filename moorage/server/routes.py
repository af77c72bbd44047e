"""From a request's target to what it is about: a resource, or another page. Pure.

Paths are decoded first and split then, as upstream does: an escaped slash separates like a plain one.
Source: apiserver/pkg/endpoints/request/requestinfo.go and the routes of endpoints/installer.go (v1.37).
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from moorage.objects.kinds import Resource

#: How many parsed paths are remembered: clients ask for the same ones again and again.
REMEMBERED: Final = 2048

#: Subresources of a namespace itself; any other word in their place is a resource inside it.
NAMESPACE_SUBRESOURCES: Final = frozenset({"status", "finalize"})

#: Method -> the verb on one object.
_VERBS: Final[Mapping[str, str]] = {
    "GET": "get",
    "HEAD": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}


class BadTarget(ValueError):
    """The path cannot be decoded: an escape is broken, or it is not UTF-8."""


class ResourcePath(NamedTuple):
    """A path below a group version that names a resource. Texts are decoded; "" where there is none.

    namespace: of the object; for a namespace its own name, as authorization sees it.
    subpath:   what follows the subresource, without a leading slash: only proxies have one.
    watch:     it came with the old prefix `/watch/`.
    """

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    subpath: str = ""
    watch: bool = False

    @property
    def api_version(self) -> str:
        """The group version as it stands in objects: `v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version


class OtherPath(NamedTuple):
    """Any other path, decoded, without a slash at its end (but "/" itself)."""

    path: str


@lru_cache(REMEMBERED)
def parse_path(raw: str) -> ResourcePath | OtherPath:
    """Return what a path (as on the wire, without its query) is about. Raises BadTarget."""
    path = decode(raw)
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        found = _resource_path("", parts[1], parts[2:])
    elif parts[0] == "apis" and len(parts) > 3:
        found = _resource_path(parts[1], parts[2], parts[3:])
    else:
        found = None
    return found or OtherPath(path.rstrip("/") or "/")


def _resource_path(group: str, version: str, parts: list[str]) -> ResourcePath | None:
    watch = parts[0] == "watch" and len(parts) > 1
    if watch:
        parts = parts[1:]
    if not all(parts[:3]):
        return None
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 1:
        namespace = parts[1]
        if len(parts) > 2 and parts[2] not in NAMESPACE_SUBRESOURCES:
            parts = parts[2:]
    plural, name, subresource = ([*parts, "", "", ""])[:3]
    return ResourcePath(group, version, plural, namespace, name, subresource, "/".join(parts[3:]), watch)


def decode(raw: str) -> str:
    """Undo the percent escapes of a path. Raises BadTarget for one that is not two hexadecimal digits."""
    if "%" not in raw:
        return raw
    pieces = raw.split("%")
    if any(not _is_hex(piece[:2]) for piece in pieces[1:]):
        raise BadTarget(f"invalid URL escape in {raw!r}")
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise BadTarget(f"the path {raw!r} is not UTF-8") from None


def _is_hex(text: str) -> bool:
    return len(text) == 2 and all(digit in "0123456789abcdefABCDEF" for digit in text)


def parse_query(raw: str) -> tuple[tuple[str, str], ...]:
    """Return the names and values of a query in order. Pairs with a broken escape or a semicolon are left out, as Go does."""
    if not raw:
        return ()
    pairs = []
    for pair in raw.split("&"):
        if not pair or ";" in pair:
            continue
        name, _, value = pair.partition("=")
        if "%" in pair or "+" in pair:
            try:
                name, value = decode(name.replace("+", " ")), decode(value.replace("+", " "))
            except BadTarget:
                continue
        pairs.append((name, value))
    return tuple(pairs)


def first_values(pairs: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Return the first value of each name; several `dryRun`s are joined by commas (see moorage.api.request)."""
    if not pairs:
        return {}
    values = dict(reversed(pairs))
    if sum(name == "dryRun" for name, _ in pairs) > 1:
        values["dryRun"] = ",".join(value for name, value in pairs if name == "dryRun")
    return values


def all_values(pairs: tuple[tuple[str, str], ...], name: str) -> tuple[str, ...]:
    """Return every value of one name, in order."""
    return tuple(value for each, value in pairs if each == name)


def is_true(text: str | None) -> bool:
    """Read a boolean of a query: absent, "0" and "false" (in any case) are false, all else is true, "" too."""
    return text is not None and text != "0" and text.lower() != "false"


def verb_for(method: str, path: ResourcePath, query: Mapping[str, str]) -> str:
    """Return the API's verb for a method on a path: the method in lower case if there is none."""
    verb = _VERBS.get(method, method.lower())
    if path.name and not (path.watch and verb == "get"):
        return verb
    if verb == "get":
        return "watch" if path.watch or is_true(query.get("watch")) else "list"
    return "deletecollection" if verb == "delete" else verb


class Fault(NamedTuple):
    """Why a path or a verb does not exist: `code` is 404 or 405."""

    code: int


def fault_of(path: ResourcePath, verb: str, resource: Resource | None) -> Fault | None:
    """Tell why the resource does not serve this path and verb, None if it does."""
    if resource is None or not _is_in_scope(path, resource):
        return Fault(404)
    if not path.subresource:
        verbs = resource.verbs if path.name or verb in ("list", "watch", "create", "deletecollection") else ()
        if path.name and verb == "create":
            verbs = ()
        if resource.namespaced and not path.namespace and verb not in ("list", "watch"):
            verbs = ()
        return None if verb in verbs else Fault(405)
    subresource = resource.subresources.get(path.subresource)
    if subresource is None or (path.subpath and path.subresource != "proxy"):
        return Fault(404)
    return None if verb in subresource.verbs else Fault(405)


def _is_in_scope(path: ResourcePath, resource: Resource) -> bool:
    if resource.namespaced:
        return bool(path.namespace or not path.name)
    if resource.plural == "namespaces":
        return True
    return not path.namespace
