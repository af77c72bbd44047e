"""What a CustomResourceDefinition may say. Pure; order and texts are upstream's.

Upstream judges its internal form, in which what all versions share stands at the top: so paths are
`spec.validation.openAPIV3Schema…` where the versions agree, and `spec.versions[1].schema…` where they do not.
Source: apiextensions-apiserver pkg/apis/apiextensions/{v1/conversion.go,validation/validation.go} (v1.37).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from moorage.api.custom_resources.schema_rules import schema_causes
from moorage.api.kinds.webhooks.hooks import validate_client
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, annotations_of, name_of
from moorage.objects.validation import (
    dns1035_label_problems,
    dns1123_subdomain_problems,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
    too_many,
)

_COLUMN_TYPES: Final = ("integer", "number", "string", "boolean", "date")
_COLUMN_FORMATS: Final = ("int32", "int64", "float", "double", "byte", "date", "date-time", "password")
_APPROVED: Final = "api-approved.kubernetes.io"
_APPROVAL_PAGE: Final = "https://github.com/kubernetes/enhancements/pull/1111"
_SELECTABLE_MOST: Final = 8
_WARNING_MOST: Final = 256
_SIMPLE_PATH: Final = re.compile(r"(\.[\w-]+)+")
_STRATEGIES: Final = ("None", "Webhook")
_REVIEW_VERSIONS: Final = ("v1", "v1beta1")
_ONLY_WEBHOOK: Final = "should not be set when strategy is not set to Webhook"
_IMMUTABLE: Final = "field is immutable"

#: Path of what the versions may share -> where upstream's internal form has it, and its key in a version.
_SHARED: Final = {
    "schema": "validation",
    "subresources": "subresources",
    "additionalPrinterColumns": "additionalPrinterColumns",
    "selectableFields": "selectableFields",
}


def versions_of(definition: Object) -> Sequence[Object]:
    """Return the versions of a definition."""
    return (definition.get("spec") or {}).get("versions") or ()


def definition_causes(definition: Object) -> list[Cause]:
    """Return every broken rule of a new definition, but for those of its metadata."""
    spec = definition.get("spec") or {}
    name = f"{(spec.get('names') or {}).get('plural') or ''}.{spec.get('group') or ''}"
    causes = []
    if name_of(definition) != name:
        causes.append(invalid("metadata.name", name_of(definition), 'must be spec.names.plural+"."+spec.group'))
    causes += _spec_causes(spec)
    causes += stored_version_causes(definition)
    return [*causes, *_approval_causes(definition), *_preserving_causes(spec)]


def changed_definition_causes(definition: Object, old: Object) -> list[Cause]:
    """Return every broken rule of a definition that is changed."""
    spec, before = definition.get("spec") or {}, old.get("spec") or {}
    causes = [*_spec_causes(spec), *_fixed_causes(spec, before, is_established=is_true(old, "Established"))]
    causes += stored_version_causes(definition)
    if not _approval_causes(old):
        causes += _approval_causes(definition)
    return causes + ([] if before.get("preserveUnknownFields") else _preserving_causes(spec))


def is_true(definition: Object, condition: str) -> bool:
    """Tell whether a definition has the condition with status True."""
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return any(each.get("type") == condition and each.get("status") == "True" for each in conditions)


def _spec_causes(spec: Object) -> list[Cause]:
    causes = [*_group_causes(spec.get("group") or ""), *_scope_causes(spec.get("scope") or "")]
    versions = spec.get("versions") or []
    shared = _shared(versions)
    causes += [
        required(f"spec.versions[{index}].schema.openAPIV3Schema")
        for index, each in enumerate(versions)
        if _schema_of(each) is None
    ]
    for index, version in enumerate(versions):
        causes += _version_causes(version, f"spec.versions[{index}]", shared)
    causes += _storage_causes(versions, shared)
    if versions and (problems := dns1035_label_problems(versions[0].get("name") or "")):
        causes.append(invalid("spec.version", versions[0].get("name") or "", ",".join(problems)))
    causes += _name_causes(spec.get("names") or {})
    if versions:
        causes += _part_causes(versions[0], "spec", shared, _has_any_status(versions))
    return [*causes, *_conversion_causes(spec.get("conversion") or {}, versions)]


def _group_causes(group: str) -> Iterable[Cause]:
    if not group:
        return [required("spec.group")]
    if problems := dns1123_subdomain_problems(group):
        return [invalid("spec.group", group, ",".join(problems))]
    return [] if "." in group else [invalid("spec.group", group, "should be a domain with at least one dot")]


def _scope_causes(scope: str) -> Iterable[Cause]:
    allowed = ("Cluster", "Namespaced")
    if not scope:
        return [required("spec.scope")]
    return [] if scope in allowed else [not_supported("spec.scope", scope, allowed)]


def _schema_of(version: Object) -> Object | None:
    return (version.get("schema") or {}).get("openAPIV3Schema")


def _shared(versions: Sequence[Object]) -> frozenset[str]:
    """Return the keys that all versions agree on: upstream moves them to the top."""
    return frozenset(key for key in _SHARED if all(each.get(key) == versions[0].get(key) for each in versions))


def _has_any_status(versions: Sequence[Object]) -> bool:
    return any(_has_status(each) for each in versions)


def _has_status(version: Object) -> bool:
    return (version.get("subresources") or {}).get("status") is not None


def _version_causes(version: Object, path: str, shared: frozenset[str]) -> list[Cause]:
    name, causes = version.get("name") or "", []
    if problems := dns1035_label_problems(name):
        causes.append(invalid(f"{path}.name", name, ",".join(problems)))
    if (warning := version.get("deprecationWarning")) is not None:
        causes += [invalid(f"{path}.deprecationWarning", warning, text) for text in _warning_problems(version, warning)]
    return causes + _part_causes(version, path, frozenset(_SHARED) - shared, _has_status(version))


def _warning_problems(version: Object, warning: str) -> Iterable[str]:
    if not version.get("deprecated"):
        yield "can only be set for deprecated versions"
    if len(warning) > _WARNING_MOST:
        yield f"must be <= {_WARNING_MOST} characters long"
    if not warning:
        yield "must not be an empty string"
    odd = next((index for index, char in enumerate(warning) if not char.isprintable()), None)
    if odd is not None:
        yield f"must only contain printable UTF-8 characters; non-printable character found at index {odd}"


def _part_causes(version: Object, path: str, keys: frozenset[str], has_status: bool) -> list[Cause]:  # noqa: FBT001
    """Judge those parts of a version that stand at `path`: at the top or in the version."""
    causes: list[Cause] = []
    schema = _schema_of(version)
    if "schema" in keys and schema is not None:
        step = "validation" if path == "spec" else "schema"
        causes += schema_causes(schema, f"{path}.{step}.openAPIV3Schema", has_status=has_status)
    if "subresources" in keys:
        causes += _subresource_causes(version.get("subresources") or {}, f"{path}.subresources")
    if "additionalPrinterColumns" in keys:
        for index, column in enumerate(version.get("additionalPrinterColumns") or ()):
            causes += _column_causes(column, f"{path}.additionalPrinterColumns[{index}]")
    if "selectableFields" in keys:
        causes += _selectable_causes(version.get("selectableFields") or (), schema or {}, f"{path}.selectableFields")
    return causes


def _storage_causes(versions: Sequence[Object], shared: frozenset[str]) -> Iterable[Cause]:
    names = [each.get("name") or "" for each in versions]
    shown = [_internal(each, shared) for each in versions]
    if len(set(names)) < len(names):
        yield invalid("spec.versions", shown, "must contain unique version names")
    if sum(bool(each.get("storage")) for each in versions) != 1:
        yield invalid("spec.versions", shown, "must have exactly one version marked as storage version")


def _internal(version: Object, shared: frozenset[str]) -> dict[str, Any]:
    """Return a version as upstream's internal form shows it; parts that are not shared stay as they are written."""
    parts = {_go_name(key): None if key in shared else version.get(key) for key in _SHARED}
    return {
        "Name": version.get("name") or "",
        "Served": bool(version.get("served")),
        "Storage": bool(version.get("storage")),
        "Deprecated": bool(version.get("deprecated")),
        "DeprecationWarning": version.get("deprecationWarning"),
        **parts,
    }


def _go_name(key: str) -> str:
    return key[:1].upper() + key[1:]


def _name_causes(names: Object) -> list[Cause]:
    causes = [required(f"spec.names.{key}") for key in ("plural", "singular", "kind", "listKind") if not names.get(key)]
    causes += [
        invalid(f"spec.names.{key}", names[key], ",".join(problems))
        for key in ("plural", "singular")
        if names.get(key) and (problems := dns1035_label_problems(names[key]))
    ]
    for key in ("kind", "listKind"):
        if (text := names.get(key)) and (problems := dns1035_label_problems(text.lower())):
            detail = f"may have mixed case, but should otherwise match: {','.join(problems)}"
            causes.append(invalid(f"spec.names.{key}", text, detail))
    causes += _listed_name_causes(names, "shortNames")
    if names.get("kind") and names.get("kind") == names.get("listKind"):
        causes.append(invalid("spec.names.listKind", names["listKind"], "kind and listKind may not be the same"))
    return causes + _listed_name_causes(names, "categories")


def _listed_name_causes(names: Object, key: str) -> list[Cause]:
    return [
        invalid(f"spec.names.{key}[{index}]", text, ",".join(problems))
        for index, text in enumerate(names.get(key) or ())
        if (problems := dns1035_label_problems(text))
    ]


def _subresource_causes(subresources: Object, path: str) -> list[Cause]:
    scale = subresources.get("scale")
    if scale is None:
        return []
    causes: list[Cause] = []
    for key, top in (("specReplicasPath", "spec"), ("statusReplicasPath", "status")):
        if not scale.get(key):
            causes.append(required(f"{path}.scale.{key}"))
        else:
            causes += _path_causes(scale[key], f"{path}.scale.{key}", (top,))
    if scale.get("labelSelectorPath"):
        causes += _path_causes(scale["labelSelectorPath"], f"{path}.scale.labelSelectorPath", ("spec", "status"))
    return causes


def _path_causes(text: str, path: str, tops: tuple[str, ...]) -> list[Cause]:
    if not _SIMPLE_PATH.fullmatch(text):
        return [invalid(path, text, "must be a simple json path starting with .")]
    if any(text.startswith(f".{top}.") for top in tops):
        return []
    return [invalid(path, text, f"should be a json path under {_either(tops)}")]


def _either(tops: tuple[str, ...]) -> str:
    return f".{tops[0]}" if len(tops) == 1 else f"either .{tops[0]} or .{tops[1]}"


def _column_causes(column: Object, path: str) -> list[Cause]:
    causes: list[Cause] = []
    if not column.get("name"):
        causes.append(required(f"{path}.name"))
    kind, form, json_path = column.get("type") or "", column.get("format") or "", column.get("jsonPath") or ""
    if not kind:
        causes.append(required(f"{path}.type", f"must be one of {','.join(sorted(_COLUMN_TYPES))}"))
    elif kind not in _COLUMN_TYPES:
        causes.append(invalid(f"{path}.type", kind, f"must be one of {','.join(sorted(_COLUMN_TYPES))}"))
    if form and form not in _COLUMN_FORMATS:
        causes.append(invalid(f"{path}.format", form, f"must be one of {','.join(sorted(_COLUMN_FORMATS))}"))
    if not json_path:
        causes.append(required(f"{path}.JSONPath"))
    elif not json_path.startswith("."):
        causes.append(invalid(f"{path}.JSONPath", json_path, "must be a simple json path starting with ."))
    return causes


def _selectable_causes(fields: Sequence[Object], schema: Object, path: str) -> list[Cause]:
    causes: list[Cause] = []
    if len(fields) > _SELECTABLE_MOST:
        causes.append(too_many(path, len(fields), _SELECTABLE_MOST))
    seen: set[str] = set()
    for index, each in enumerate(fields):
        at, text = f"{path}[{index}].jsonPath", each.get("jsonPath") or ""
        if not text:
            causes.append(required(at))
            continue
        causes += _selectable_path_causes(text, schema, at)
        if text in seen:
            causes.append(duplicate(at, text))
        seen.add(text)
    return causes


def _selectable_path_causes(text: str, schema: Object, at: str) -> list[Cause]:
    if not text.startswith("."):
        head = re.split(r"[.\[]", text, maxsplit=1)[0]
        return [invalid(at, text, f"is an invalid path: expected [ or . but got: {head}")]
    found: Any = schema
    for step in text[1:].split("."):
        found = (found.get("properties") or {}).get(step) if isinstance(found, Mapping) else None
    if found is None:
        return [invalid(at, text, "is an invalid path: does not refer to a valid field")]
    if text.startswith(".metadata."):
        return [invalid(at, text, "must not point to fields in metadata")]
    if found.get("type") not in ("string", "boolean", "integer"):
        detail = "must point to a field of type string, boolean or integer. Enum string fields and strings with formats"
        return [invalid(at, text, f"{detail} are allowed.")]
    return []


def _conversion_causes(conversion: Object, versions: Sequence[Object]) -> list[Cause]:
    strategy, path = conversion.get("strategy") or "", "spec.conversion"
    webhook = conversion.get("webhook") or {}
    client, reviews = webhook.get("clientConfig"), webhook.get("conversionReviewVersions") or []
    if not strategy:
        return [required(f"{path}.strategy")]
    if strategy not in _STRATEGIES:
        return [not_supported(f"{path}.strategy", strategy, _STRATEGIES)]
    causes: list[Cause] = []
    if strategy == "None":
        if client is not None:
            causes.append(forbidden(f"{path}.webhookClientConfig", _ONLY_WEBHOOK))
        return [*causes, forbidden(f"{path}.conversionReviewVersions", _ONLY_WEBHOOK)] if reviews else causes
    if client is None:
        causes.append(required(f"{path}.webhookClientConfig", "required when strategy is set to Webhook"))
    else:
        causes += validate_client(f"{path}.webhookClientConfig", client)
    causes += _review_causes(reviews, f"{path}.conversionReviewVersions")
    return causes


def _review_causes(versions: Sequence[str], path: str) -> list[Cause]:
    if not versions:
        return [required(path)]
    causes: list[Cause] = []
    for index, version in enumerate(versions):
        if version in versions[:index]:
            causes.append(invalid(f"{path}[{index}]", version, "duplicate version"))
        elif problems := dns1035_label_problems(version):
            causes.append(invalid(f"{path}[{index}]", version, ",".join(problems)))
    if not any(version in _REVIEW_VERSIONS for version in versions):
        causes.append(invalid(path, list(versions), f"must include at least one of {', '.join(_REVIEW_VERSIONS)}"))
    return causes


def _fixed_causes(spec: Object, old: Object, *, is_established: bool) -> list[Cause]:
    names, old_names = spec.get("names") or {}, old.get("names") or {}
    pairs: list[tuple[str, Any, Any]] = []
    if is_established:
        pairs += [("spec.scope", spec.get("scope"), old.get("scope"))]
        pairs += [("spec.names.kind", names.get("kind"), old_names.get("kind"))]
    pairs += [("spec.group", spec.get("group"), old.get("group"))]
    pairs += [("spec.names.plural", names.get("plural"), old_names.get("plural"))]
    return [invalid(path, new, _IMMUTABLE) for path, new, before in pairs if new != before]


def stored_version_causes(definition: Object) -> list[Cause]:
    """Return what is wrong with status.storedVersions: they are versions, and the storage version is among them."""
    path = "status.storedVersions"
    stored = (definition.get("status") or {}).get("storedVersions") or None
    if not stored:
        return [invalid(path, None, "must have at least one stored version")]
    versions = versions_of(definition)
    names = {each.get("name") for each in versions}
    causes = [
        invalid(path, stored, f"must have the storage version {each.get('name')}")
        for each in versions
        if each.get("storage") and each.get("name") not in stored
    ]
    for index, name in enumerate(stored):
        if name not in names:
            text = (
                f"missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions "
                f"until a storage migration ensures no data remains persisted in {name} and removes {name} from "
                "status.storedVersions"
            )
            causes.append(invalid(f"{path}[{index}]", name, text))
    return causes


def is_protected(group: str) -> bool:
    """Tell whether a group is the Kubernetes project's own."""
    return any(group == each or group.endswith(f".{each}") for each in ("k8s.io", "kubernetes.io"))


def _approval_causes(definition: Object) -> list[Cause]:
    if not is_protected((definition.get("spec") or {}).get("group") or ""):
        return []
    path, written = f"metadata.annotations[{_APPROVED}]", annotations_of(definition).get(_APPROVED)
    needed = f'protected groups must have approval annotation "{_APPROVED}"'
    if not written:
        return [required(path, f"{needed}, see {_APPROVAL_PAGE}")]
    if written.startswith("unapproved") or re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s]+", written):
        return []
    return [
        invalid(
            path, written, f'{needed} with either a URL or a reason starting with "unapproved", see {_APPROVAL_PAGE}'
        )
    ]


def _preserving_causes(spec: Object) -> list[Cause]:
    if not spec.get("preserveUnknownFields"):
        return []
    text = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
    return [invalid("spec.preserveUnknownFields", True, text)]  # noqa: FBT003
