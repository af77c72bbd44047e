"""The rules of a custom resource in one version, with the functions that a module of moorage.api.kinds may have.

Source: apiextensions-apiserver pkg/registry/customresource/{strategy,validator,status_strategy}.go (v1.37).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from moorage.api.custom_resources.conversion_reviews import Conversion
from moorage.api.custom_resources.defaulting import apply_schema_defaults
from moorage.api.custom_resources.expressions import Rules, compiled_rules, with_rules
from moorage.api.custom_resources.invariants import invariant_causes
from moorage.api.custom_resources.values import value_causes
from moorage.api.kind_rules import Lookup
from moorage.api.request import Draft, Request
from moorage.objects.errors import Cause, MethodNotAllowed
from moorage.objects.metadata import Object, finalizers_of
from moorage.objects.pruning import prune
from moorage.objects.schema import Type, type_from_structural
from moorage.objects.validation import invalid

#: The largest number of replicas.
_MOST_REPLICAS = 2**31 - 1

#: From here on Go writes floats with an exponent.
_EXPONENT_FROM = 1e21


@dataclass(frozen=True, eq=False)
class CustomRules:
    """What a definition says about one of its versions.

    api_version:    as it stands in objects; schema: its openAPIV3Schema, metadata left out.
    stored:         the rules of the version that objects are stored in; None if it is this one.
    since:          objects stored at this revision or later need no defaults and no pruning when they are read.
    scale:          the paths of the scale subresource, None if it has none.
    columns:        additionalPrinterColumns; selectable: paths of selectable fields without their leading dot.
    versions:       the names of all versions that the definition knows, served or not.
    conversion:     the webhook that converts between versions, None if only the apiVersion changes.
    is_terminating: whether the definition is being deleted, so that nothing new may come.
    """

    api_version: str
    schema: Object
    stored: "CustomRules | None" = None
    since: int = 0
    has_status: bool = False
    scale: Mapping[str, str] | None = None
    columns: Sequence[Object] = ()
    selectable: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    is_terminating: bool = False
    conversion: Conversion | None = None

    @cached_property
    def type(self) -> Type:
        """The type of its objects."""
        return type_from_structural(self.schema)

    @cached_property
    def expressions(self) -> Rules:
        """The rules that the schema has in CEL."""
        return compiled_rules(self.schema)

    def default(self, draft: Draft) -> None:
        """Write whole numbers as such, as Go does, and fill the schema's defaults."""
        whole_numbers(draft)
        apply_schema_defaults(self.type, draft)

    def prepare_create(self, draft: Draft, request: Request, lookup: Lookup) -> None:
        """Let nobody write the status but its endpoint, and nobody create anything while the definition goes."""
        del lookup
        if self.is_terminating:
            group = self.api_version.partition("/")[0]
            raise MethodNotAllowed(
                "create not allowed while custom resource definition is terminating",
                details={"group": group, "kind": request.resource.plural},
            )
        if self.has_status:
            draft.pop("status", None)

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        """Return what the schema does not allow of a new object."""
        del request
        checked = without_metadata(obj, self.schema)
        causes = [*value_causes(self.schema, checked), *self._scale_causes(obj)]
        return with_rules([*causes, *invariant_causes(self.schema, checked)], self.expressions, obj)

    def validate_whole_update(self, obj: Object, old: Object, request: Request) -> list[Cause]:
        """Return what the schema does not allow of a changed object; what has not changed is not judged again."""
        del request
        checked, before = without_metadata(obj, self.schema), without_metadata(old, self.schema)
        causes = [*value_causes(self.schema, checked, "", before), *self._scale_causes(obj)]
        return with_rules([*causes, *invariant_causes(self.schema, checked)], self.expressions, obj, "", old)

    def validate_status(self, obj: Object, old: Object, request: Request) -> list[Cause]:
        """Return what the schema does not allow of a changed status, told from the status on, as upstream does."""
        del request
        schema = (self.schema.get("properties") or {}).get("status")
        if schema is None or "status" not in obj:
            return []
        before = {"old": old["status"]} if "status" in old else {}
        causes = [*value_causes(schema, obj["status"], "status", **before), *self._scale_causes(obj)]
        causes += invariant_causes(schema, obj["status"], "status")
        rules = self.expressions.properties.get("status")
        return with_rules(causes, rules, obj["status"], "status", **before) if rules is not None else causes

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        """Warn of new finalizers without a domain."""
        known = finalizers_of(old) if old is not None else ()
        why = "prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers"
        return [
            f'metadata.finalizers: "{name}": {why}'
            for name in finalizers_of(obj)
            if "/" not in name and name not in known
        ]

    def presented(self, obj: Object) -> dict[str, Any]:
        """Return a stored object as it is read in this version: with the defaults of the stored one, and pruned."""
        draft: dict[str, Any] = orjson.loads(orjson.dumps(obj))
        metadata = draft.pop("metadata")
        source = self.stored or self
        if source is not self:
            prune(source.type, draft)
        apply_schema_defaults(source.type, draft)
        draft["apiVersion"] = self.api_version
        prune(self.type, draft)
        return {"apiVersion": self.api_version, "kind": draft.pop("kind"), "metadata": metadata, **draft}

    def needs_webhook(self, obj: Object) -> bool:
        """Tell whether a webhook must convert a stored object for it to be read in this version."""
        return self.conversion is not None and obj["apiVersion"] != self.api_version

    def source(self, obj: Object) -> dict[str, Any]:
        """Return a stored object as a conversion webhook gets it: with the defaults of the stored version."""
        draft: dict[str, Any] = orjson.loads(orjson.dumps(obj))
        source = self.stored or self
        if obj["apiVersion"] == source.api_version:
            _fill(source, draft)
        return draft

    def shown(self, obj: dict[str, Any]) -> dict[str, Any]:
        """Return an object of this version, fresh from its conversion or from the store, as it is read. Changes it."""
        metadata = obj.pop("metadata")
        apply_schema_defaults(self.type, obj)
        prune(self.type, obj)
        return {"apiVersion": self.api_version, "kind": obj.pop("kind"), "metadata": metadata, **obj}

    def as_stored(self, obj: Object) -> dict[str, Any]:
        """Return an object of this version as it is stored."""
        if self.stored is None:
            return dict(obj)
        metadata = obj["metadata"]
        draft: dict[str, Any] = {key: value for key, value in obj.items() if key != "metadata"}
        draft = orjson.loads(orjson.dumps({**draft, "apiVersion": self.stored.api_version}))
        prune(self.stored.type, draft)
        return {**draft, "metadata": metadata}

    def is_current(self, revision: int) -> bool:
        """Tell whether an object that was stored at a revision is read as it is stored."""
        return self.stored is None and revision >= self.since

    def _scale_causes(self, obj: Object) -> list[Cause]:
        causes: list[Cause] = []
        for key in ("specReplicasPath", "statusReplicasPath") if self.scale is not None else ():
            path = (self.scale or {})[key]
            value: Any = obj
            for step in path.strip(".").split("."):
                value = value.get(step) if isinstance(value, Mapping) else None
            if isinstance(value, int) and value < 0:
                causes.append(invalid(path, value, "should be a non-negative integer"))
            elif isinstance(value, int) and value > _MOST_REPLICAS:
                causes.append(invalid(path, value, f"should be less than or equal to {_MOST_REPLICAS}"))
        return causes


def _fill(rules: CustomRules, draft: dict[str, Any]) -> None:
    """Apply the defaults of a version to all but the metadata, in place."""
    metadata = draft.pop("metadata")
    apply_schema_defaults(rules.type, draft)
    draft["metadata"] = metadata


def whole_numbers(value: Any) -> None:
    """Turn the floats in a value that are whole into integers, in place. Larger ones are written with an exponent."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in list(pairs):
        if isinstance(each, float):
            if each.is_integer() and abs(each) < _EXPONENT_FROM:
                value[key] = int(each)
        else:
            whole_numbers(each)


def without_metadata(obj: Object, schema: Object) -> dict[str, Any]:
    """Return what the schema judges: all but metadata, of which it may restrict the names alone."""
    metadata = (schema.get("properties") or {}).get("metadata")
    judged = {key: value for key, value in obj.items() if key != "metadata"}
    if metadata is not None:
        judged["metadata"] = {key: each for key, each in obj["metadata"].items() if key in ("name", "generateName")}
    return judged
