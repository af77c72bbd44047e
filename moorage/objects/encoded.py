"""An object as stored: encoded bytes, and the few facts that selection needs. Decoded on demand.

A decoded pod takes 14 KB, its bytes 3 KB: so caches hold `Encoded` and only the most recently used ones keep their
decoded form (`DECODED_MOST` of them).
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

import orjson

from moorage.objects.metadata import Object

#: Where the revision belongs in bytes that were encoded before it was known. Quotes inside JSON strings are escaped,
#: so these bytes can only be the member itself; writers put it before anything that could hold another one.
REVISION_PLACE: Final = b'"resourceVersion":""'

#: How many decoded objects are kept: 2,048 pods are about 28 MB.
DECODED_MOST: Final = 2048

_decoded: "OrderedDict[int, Encoded]" = OrderedDict()


class Encoded:
    """One revision of one object. Immutable; shared between all caches and watchers of this process.

    raw:      complete JSON, with its resourceVersion.
    revision: the store's revision of this state.
    labels, fields, owners: for selectors and indexes; fields maps a field selector label to its text; owners are uids.
    """

    __slots__ = (
        "_object",
        "fields",
        "labels",
        "name",
        "namespace",
        "owners",
        "raw",
        "revision",
        "uid",
    )

    def __init__(self, raw: bytes, revision: int, obj: Object, fields: Mapping[str, str]) -> None:
        metadata = obj["metadata"]
        self.raw = raw
        self.revision = revision
        self.namespace: str = metadata.get("namespace") or ""
        self.name: str = metadata.get("name") or ""
        self.uid: str = metadata.get("uid") or ""
        self.labels: Mapping[str, str] = metadata.get("labels") or {}
        self.fields = fields
        self.owners: tuple[str, ...] = tuple(owner["uid"] for owner in metadata.get("ownerReferences") or ())
        self._object: Object | None = None

    @property
    def object(self) -> Object:
        """The decoded object, read-only."""
        found = self._object
        if found is None:
            found = self._object = orjson.loads(self.raw)
            _decoded[id(self)] = self
            if len(_decoded) > DECODED_MOST:
                _decoded.popitem(last=False)[1]._object = None
        return found

    def at(self, raw: bytes, revision: int) -> "Encoded":
        """Return the same object at another revision; `raw` differs in its resourceVersion alone."""
        other = Encoded.__new__(Encoded)
        other.raw = raw
        other.revision = revision
        other.namespace, other.name, other.uid = self.namespace, self.name, self.uid
        other.labels, other.fields, other.owners = self.labels, self.fields, self.owners
        other._object = None
        return other

    def __repr__(self) -> str:
        return f"Encoded({self.namespace}/{self.name}@{self.revision})"


def encode(obj: Mapping[str, Any]) -> bytes:
    """Return the JSON of an object whose `metadata.resourceVersion` is the empty text, ready for `with_revision`.

    `apiVersion`, `kind` and `metadata` come first, and inside metadata the identity before maps and lists, so that the
    first REVISION_PLACE is the object's own.
    """
    metadata = obj["metadata"]
    head = {key: metadata[key] for key in ("name", "generateName", "namespace", "uid") if key in metadata}
    ordered = {
        "kind": obj.get("kind", ""),
        "apiVersion": obj.get("apiVersion", ""),
        "metadata": {
            **head,
            "resourceVersion": "",
            **{k: v for k, v in metadata.items() if k != "resourceVersion"},
        },
    }
    ordered.update((key, value) for key, value in obj.items() if key not in ordered)
    return orjson.dumps(ordered)


def with_revision(value: bytes, revision: int) -> bytes:
    """Return the bytes of `encode` with the revision in its place."""
    return value.replace(REVISION_PLACE, b'"resourceVersion":"%d"' % revision, 1)
