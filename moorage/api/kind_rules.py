"""The shape of moorage/api/kinds/<kind>.py: what a table cannot say about a kind. All functions are optional.

    default(draft)                          set defaults that depend on other fields; tables were applied before
    prepare_create(draft, request, lookup)  strategy: clear what clients may not set, set what the server sets (status, …)
    complete_create(draft)                  what is filled in only after the new object was found right
    prepare_update(draft, old, request, lookup)      keep what this endpoint may not change (status); the caller
                                            has restored the status and counts the generation
    prepare_status(draft, old, request, lookup)      the same for the status subresource; the caller has already taken
                                            everything but status and metadata from `old`
    validate(obj, request) -> list[Cause]   every broken rule, in upstream's order
    validate_update(obj, old, request) -> list[Cause]      immutability and transitions; validate runs too
    validate_whole_update(obj, old, request) -> list[Cause]   stands for both of them where rules ask less of what was
                                            there before
    validate_status(obj, old, request) -> list[Cause]
    warnings(obj, old) -> list[str]         what to warn about
    cells(obj, now) -> list                 the cells of its Table row, in the order of the columns in data/tables.json
    grace_seconds(old, asked) -> int|None   how long a deletion may take (asked: what the client says); None: it goes at once
    mark_deleted(draft, request)            what else changes when the deletion time is set (a namespace's phase)

`lookup` is the read access of rules to other objects (see Lookup).
A file is named by the kind in lower case; kinds without a file follow the tables alone.
"""

import importlib
import importlib.util
from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Protocol

from moorage.objects.metadata import Object


class Lookup(Protocol):
    """Read access to other objects, never older than the last acknowledged write."""

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        """Return one object, None if there is none."""

    def list(self, resource: str, namespace: str = "") -> Sequence[Object]:
        """Return all objects, or those of one namespace."""


@cache
def rules_for(kind: str) -> ModuleType | None:
    """Return the module of rules of a built-in kind, None if tables say everything."""
    name = f"moorage.api.kinds.{kind.lower()}"
    return importlib.import_module(name) if importlib.util.find_spec(name) else None
