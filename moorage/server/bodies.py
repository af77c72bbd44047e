"""From answers to bytes. Stored bytes are joined, not decoded: a list of 2,500 pods is one join.

Whole objects go out as they are stored. Tables and bare metadata need the decoded object. YAML is made of the JSON.
Source: apiserver/pkg/endpoints/handlers/response.go (v1.37).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol

import orjson

from moorage.api.answers import Page
from moorage.objects.encoded import Encoded
from moorage.objects.errors import BadRequest, NotAcceptable
from moorage.objects.kinds import Resource
from moorage.objects.metadata import Object
from moorage.server.negotiation import YAML, Format

#: What a list or an object becomes when only its metadata is wanted.
PARTIAL: Final = "PartialObjectMetadata"
PARTIAL_LIST: Final = "PartialObjectMetadataList"

_INCLUDED: Final = frozenset({"", "Metadata", "Object", "None"})


class Tables(Protocol):
    """What tables need to know about kinds (moorage.api.tables)."""

    def columns(self, resource: Resource, subresource: str) -> Sequence[Object]:
        """Return the column definitions, as in the Table."""

    def cells(self, resource: Resource, subresource: str, obj: Object, now: datetime) -> Sequence[Any]:
        """Return the cells of an object's row, in the order of the columns."""

    def conditions(self, resource: Resource, subresource: str, obj: Object) -> Sequence[Object]:
        """Return the conditions of an object's row."""

    def is_general(self, resource: Resource, subresource: str) -> bool:
        """Tell whether the columns are those of objects without columns of their own."""


class Look(NamedTuple):
    """How the client wants to see objects of one resource, checked: see `look_for`.

    include: what a row of a Table carries: Metadata, Object or None.
    """

    form: Format
    resource: Resource
    subresource: str = ""
    include: str = "Metadata"
    pretty: bool = False


def look_for(form: Format, resource: Resource, subresource: str, query: Mapping[str, str], *, pretty: bool) -> Look:
    """Return how to write objects of this resource. Raises BadRequest for a wrong `includeObject`."""
    include = query.get("includeObject", "") if form.convert == "Table" else ""
    if include not in _INCLUDED:
        why = f"includeObject: Invalid value: \"{include}\": must be 'Metadata', 'Object', 'None', or empty"
        raise BadRequest(f"Unable to convert to Table as requested: {why}")
    return Look(form, resource, subresource, include or "Metadata", pretty)


def list_kind_of(resource: Resource) -> str:
    """Return the kind of a list of these objects."""
    return str(resource.behaviour.get("listKind") or f"{resource.kind}List")


class Bodies:
    """Writes answers. `tables` says what Tables show."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        #: Column definitions, encoded, by identity of their resource (which is kept, so that the identity stays its own).
        self._columns: dict[tuple[int, str], tuple[Resource, bytes]] = {}

    def of_object(self, body: Encoded | Mapping[str, Any], look: Look, now: datetime) -> bytes:
        """Return one object. Raises NotAcceptable when the client wants it as a list."""
        convert = look.form.convert
        if not convert:
            raw = body.raw if isinstance(body, Encoded) else orjson.dumps(body)
            return self._finished(raw, look)
        obj = body.object if isinstance(body, Encoded) else body
        if obj.get("kind") == "Status":
            return self._finished(orjson.dumps(obj), look)
        if convert == PARTIAL_LIST:
            raise _mismatch(convert, look.resource, is_list=False)
        if convert == PARTIAL:
            return self._finished(partial_bytes(obj, look.form.version), look)
        revision = str((obj.get("metadata") or {}).get("resourceVersion") or "")
        head = _list_metadata(revision, "", None)
        return self._finished(self._table([obj], head, look, now, headed=True), look)

    def of_page(self, page: Page, look: Look, now: datetime) -> bytes:
        """Return a list. Raises NotAcceptable when the client wants it as a single object."""
        convert = look.form.convert
        head = _list_metadata(str(page.revision), page.token, page.remaining)
        if look.resource.custom and not page.token and not convert:
            head = b'{"continue":"",' + head[1:]
        if convert == PARTIAL:
            raise _mismatch(convert, look.resource, is_list=True)
        if convert == "Table":
            objects = [item.object for item in page.items]
            return self._finished(self._table(objects, head, look, now, headed=True), look)
        if convert == PARTIAL_LIST:
            items = [partial_bytes(item.object, look.form.version) for item in page.items]
            kind, api_version = PARTIAL_LIST, f"meta.k8s.io/{look.form.version}"
        else:
            items = bare_items(page.items, look.resource)
            kind, api_version = list_kind_of(look.resource), look.resource.api_version
        opening = b'{"kind":"%b","apiVersion":"%b","metadata":%b,"items":[' % (
            kind.encode(),
            api_version.encode(),
            head,
        )
        return self._finished(b"%b%b]}" % (opening, b",".join(items)), look)

    def of_change(self, item: Encoded, look: Look, now: datetime, *, headed: bool) -> bytes:
        """Return the object of a watch notification; `headed` tells whether a Table defines its columns."""
        convert = look.form.convert
        if not convert:
            return item.raw
        if convert == PARTIAL:
            return partial_bytes(item.object, look.form.version)
        if convert == PARTIAL_LIST:
            raise _mismatch(convert, look.resource, is_list=False)
        return self._table([item.object], _list_metadata(str(item.revision), "", None), look, now, headed=headed)

    def _table(self, objects: Iterable[Object], head: bytes, look: Look, now: datetime, *, headed: bool) -> bytes:
        rows = b",".join([self._row(obj, look, now) for obj in objects])
        columns = self._columns_of(look) if headed else b"null"
        opening = b'{"kind":"Table","apiVersion":"meta.k8s.io/%b","metadata":%b' % (look.form.version.encode(), head)
        # Upstream's general tables begin with no list at all, those with columns of their own with an empty one.
        is_null = not rows and self._tables.is_general(look.resource, look.subresource)
        return b'%b,"columnDefinitions":%b,"rows":%b}' % (opening, columns, b"null" if is_null else b"[%b]" % rows)

    def _row(self, obj: Object, look: Look, now: datetime) -> bytes:
        cells = orjson.dumps(list(self._tables.cells(look.resource, look.subresource, obj, now)), default=str)
        if look.include == "None":
            shown = b"null"
        elif look.include == "Object":
            shown = orjson.dumps(obj)
        else:
            shown = partial_bytes(obj, look.form.version)
        conditions = self._tables.conditions(look.resource, look.subresource, obj)
        said = b'"conditions":%b,' % orjson.dumps(conditions) if conditions else b""
        return b'{"cells":%b,%b"object":%b}' % (cells, said, shown)

    def _columns_of(self, look: Look) -> bytes:
        key = (id(look.resource), look.subresource)
        known = self._columns.get(key)
        if known is None:
            if len(self._columns) > 1000:
                self._columns.clear()
            encoded = orjson.dumps(list(self._tables.columns(look.resource, look.subresource)))
            known = self._columns[key] = (look.resource, encoded)
        return known[1]

    @staticmethod
    def _finished(raw: bytes, look: Look) -> bytes:
        """Return JSON as it was asked for: indented, or as YAML."""
        return finished(raw, look.form, pretty=look.pretty)


def finished(raw: bytes, form: Format, *, pretty: bool) -> bytes:
    """Return JSON bytes in the encoding of `form`, indented if `pretty`."""
    if form.encoding == YAML:
        from moorage.server import yaml_text

        return yaml_text.dump(orjson.loads(raw))
    return orjson.dumps(orjson.loads(raw), option=orjson.OPT_INDENT_2) + b"\n" if pretty else raw


def bare_items(items: Sequence[Encoded], resource: Resource) -> list[bytes]:
    """Return the objects of a list as JSON; those of built-in kinds without kind and apiVersion, as upstream has them."""
    raws = [item.raw for item in items]
    if resource.custom:
        return raws
    prefix = b'{"kind":"%b","apiVersion":"%b",' % (resource.kind.encode(), resource.api_version.encode())
    skipped = len(prefix)
    return [b"{" + raw[skipped:] if raw.startswith(prefix) else raw for raw in raws]


def partial_bytes(obj: Object, version: str) -> bytes:
    """Return the bare metadata of an object."""
    metadata = orjson.dumps(obj.get("metadata") or {})
    return b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/%b","metadata":%b}' % (
        version.encode(),
        metadata,
    )


def _list_metadata(revision: str, token: str, remaining: int | None) -> bytes:
    metadata: dict[str, Any] = {"resourceVersion": revision} if revision else {}
    if token:
        metadata["continue"] = token
    if remaining is not None:
        metadata["remainingItemCount"] = remaining
    return orjson.dumps(metadata)


def _mismatch(convert: str, resource: Resource, *, is_list: bool) -> NotAcceptable:
    """Return the error for a list where an object was asked for, or the other way round."""
    package = resource.group.partition(".")[0] or "core"
    kind = f"*{package}.{resource.kind}" if not resource.custom else "*unstructured.Unstructured"
    shown = f"is a list ({kind}List)" if is_list else f"is not a list ({kind})"
    return NotAcceptable(f"you requested {convert}, but the requested object {shown}")


class Frames:
    """Watch notifications as lines of JSON, encoded once and shared between watchers.

    `latest` are kept, with the objects that they were made of: enough for what is sent to many watchers at a time.
    """

    LATEST = 512

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._known: dict[tuple[int, str, Format, str, bool, int], tuple[Encoded, bytes]] = {}

    def line(self, kind: str, item: Encoded, look: Look, now: datetime, *, chunked: bool) -> bytes:
        """Return a notification; `chunked`: as a chunk of a chunked HTTP answer. Tables do not define their columns."""
        second = int(now.timestamp()) if look.form.convert == "Table" else 0  # a row shows ages
        key = (id(item), kind, look.form, look.include, chunked, second)
        known = self._known.get(key)
        if known is not None and known[0] is item:
            return known[1]
        if len(self._known) >= self.LATEST:
            self._known.clear()
        made = framed(kind, self._bodies.of_change(item, look, now, headed=False), chunked=chunked)
        self._known[key] = (item, made)
        return made

    def first_line(self, kind: str, item: Encoded, look: Look, now: datetime, *, chunked: bool) -> bytes:
        """Return the first notification of a watch, whose Table defines its columns."""
        if look.form.convert != "Table":
            return self.line(kind, item, look, now, chunked=chunked)
        return framed(kind, self._bodies.of_change(item, look, now, headed=True), chunked=chunked)


def framed(kind: str, raw: bytes, *, chunked: bool) -> bytes:
    """Return a notification of this kind about an encoded object."""
    line = b'{"type":"%b","object":%b}\n' % (kind.encode(), raw)
    return b"%x\r\n%b\r\n" % (len(line), line) if chunked else line


def bookmark_bytes(look: Look, revision: int, *, initial_end: bool) -> bytes:
    """Return the object of a bookmark: its kind, the revision that the watcher has reached, and zero values."""
    metadata: dict[str, Any] = {"resourceVersion": str(revision)}
    if initial_end:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    resource, convert = look.resource, look.form.convert
    if convert:
        return orjson.dumps({"kind": convert, "apiVersion": f"meta.k8s.io/{look.form.version}", "metadata": metadata})
    shown = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
    if not resource.custom:
        from moorage.server.zero_values import zero_values

        shown |= zero_values(resource.api_version, resource.kind)
    return orjson.dumps(shown)
