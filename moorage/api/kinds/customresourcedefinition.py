"""CustomResourceDefinitions: kinds that users add.

What all versions have in common is judged once, and is told of the paths that it had before there were versions
(`spec.validation` for the schema).
Source: apiextensions-apiserver/pkg/apis/apiextensions/validation, pkg/registry/customresourcedefinition (v1.37).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.definitions.parts import (
    validate_columns,
    validate_conversion,
    validate_scale,
    validate_selectable,
)
from moorage.api.kinds.definitions.schemas import is_convertible, validate_schema
from moorage.api.kinds.definitions.structural import validate_structural
from moorage.api.request import Draft, Request
from moorage.objects.errors import Cause
from moorage.objects.errors import invalid as refusal
from moorage.objects.metadata import Object, annotations_of, is_condition_true, metadata_of, name_of
from moorage.objects.validation import (
    dns1035_label_problems,
    dns1123_subdomain_problems,
    each_invalid,
    invalid,
    not_supported,
    required,
)

Part = Mapping[str, Any]

#: The annotation by which the community approves kinds in its own groups.
APPROVAL = "api-approved.kubernetes.io"

WARNING_MOST = 256

_SCOPES = ("Cluster", "Namespaced")
_PROTECTED = ("k8s.io", "kubernetes.io")
_MIXED_CASE = "may have mixed case, but should otherwise match: "
_NO_PRESERVE = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
_SEE = "see https://github.com/kubernetes/enhancements/pull/1111"

#: Fields of a version that are shown apart when all versions agree on them: their name, and the one in messages.
_COMMON = ("schema", "subresources", "additionalPrinterColumns", "selectableFields")


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Start unaccepted, with the storage version as the only one stored. Raises Invalid for a name of something else."""
    del lookup
    draft["status"] = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": []}
    _note_stored(draft)
    spec = draft.get("spec") or {}
    wanted = f"{(spec.get('names') or {}).get('plural') or ''}.{spec.get('group') or ''}"
    name = name_of(draft)
    if name and name != wanted:
        mismatch = invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
        raise refusal(request.resource.kind, request.resource.group, name, [mismatch, *validate(draft, request)])


def prepare_update(draft: Draft, old: Object, request: Request, lookup: Lookup) -> None:
    """Note a new storage version."""
    del old, request, lookup
    _note_stored(draft)


def _note_stored(draft: Draft) -> None:
    status = draft.get("status") or {}
    stored = list(status.get("storedVersions") or ())
    for version in (draft.get("spec") or {}).get("versions") or ():
        if version.get("storage"):
            if version.get("name") not in stored:
                draft["status"] = {**status, "storedVersions": [*stored, version.get("name")]}
            return


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a definition."""
    del request
    spec = obj.get("spec") or {}
    versions = spec.get("versions") or []
    common = [
        field for field in _COMMON if versions and all(each.get(field) == versions[0].get(field) for each in versions)
    ]
    causes = _validate_group(spec.get("group") or "") + _validate_scope(spec.get("scope") or "")
    if not spec.get("preserveUnknownFields"):
        causes += [
            required(f"spec.versions[{index}].schema.openAPIV3Schema")
            for index, version in enumerate(versions)
            if (version.get("schema") or {}).get("openAPIV3Schema") is None
        ]
    for index, version in enumerate(versions):
        causes += _validate_version(f"spec.versions[{index}]", version, common)
    causes += _validate_versions("spec.versions", versions, common)
    causes += _validate_names("spec.names", spec.get("names") or {})
    if versions:
        causes += _validate_parts("spec", versions[0], {"schema": "validation"}, common)
    if (conversion := spec.get("conversion")) is not None:
        causes += validate_conversion("spec.conversion", conversion)
    causes += _validate_stored(obj, versions)
    causes += _validate_approval(obj)
    if spec.get("preserveUnknownFields"):
        causes.append(invalid("spec.preserveUnknownFields", spec["preserveUnknownFields"], _NO_PRESERVE))
    return causes


def _validate_group(group: str) -> list[Cause]:
    path = "spec.group"
    if not group:
        return [required(path)]
    if problems := dns1123_subdomain_problems(group):
        return [invalid(path, group, ",".join(problems))]
    return [] if "." in group else [invalid(path, group, "should be a domain with at least one dot")]


def _validate_scope(scope: str) -> list[Cause]:
    if not scope:
        return [required("spec.scope")]
    return [] if scope in _SCOPES else [not_supported("spec.scope", scope, _SCOPES)]


def _validate_version(path: str, version: Part, common: Sequence[str]) -> list[Cause]:
    name, warning = version.get("name") or "", version.get("deprecationWarning")
    causes: list[Cause] = []
    if problems := dns1035_label_problems(name):
        causes.append(invalid(f"{path}.name", name, ",".join(problems)))
    if warning is not None and (problem := _warning_problem(warning, deprecated=bool(version.get("deprecated")))):
        causes.append(invalid(f"{path}.deprecationWarning", warning, problem))
    return causes + _validate_parts(path, version, {}, [field for field in _COMMON if field not in common])


def _warning_problem(text: str, *, deprecated: bool) -> str:
    if not deprecated:
        return "can only be set for deprecated versions"
    if not text:
        return "must not be empty"
    return f"must be <= {WARNING_MOST} characters long" if len(text) > WARNING_MOST else ""


def _validate_parts(path: str, version: Part, names: Mapping[str, str], fields: Sequence[str]) -> list[Cause]:
    """Return the causes of a version's parts that `fields` names; `names` are other words for them in messages."""
    causes: list[Cause] = []
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    if "schema" in fields and schema is not None:
        place = f"{path}.{names.get('schema', 'schema')}.openAPIV3Schema"
        causes += validate_schema(place, schema)
        if is_convertible(schema):
            causes += validate_structural(place, schema)
    if "selectableFields" in fields and (selectable := version.get("selectableFields")):
        causes += validate_selectable(f"{path}.selectableFields", selectable, schema)
    scale = (version.get("subresources") or {}).get("scale")
    if "subresources" in fields and scale is not None:
        causes += validate_scale(f"{path}.subresources.scale", scale)
    if "additionalPrinterColumns" in fields:
        columns = version.get("additionalPrinterColumns") or ()
        causes += validate_columns(f"{path}.additionalPrinterColumns", columns)
    return causes


def _validate_versions(path: str, versions: Sequence[Part], common: Sequence[str]) -> list[Cause]:
    causes: list[Cause] = []
    names = [each.get("name") for each in versions]
    if len(set(names)) != len(names):
        causes.append(invalid(path, _printed(versions, common), "must contain unique version names"))
    if sum(bool(each.get("storage")) for each in versions) != 1:
        text = "must have exactly one version marked as storage version"
        causes.append(invalid(path, _printed(versions, common), text))
    first = (versions[0].get("name") or "") if versions else ""
    if first and (problems := dns1035_label_problems(first)):
        causes.append(invalid("spec.version", first, ",".join(problems)))
    return causes


def _printed(versions: Sequence[Part], common: Sequence[str]) -> list[dict[str, Any]]:
    """Return versions in the form in which messages show them: without what all agree on."""
    return [
        {
            "Name": each.get("name") or "",
            "Served": bool(each.get("served")),
            "Storage": bool(each.get("storage")),
            "Deprecated": bool(each.get("deprecated")),
            "DeprecationWarning": each.get("deprecationWarning"),
            **{field[0].upper() + field[1:]: None if field in common else each.get(field) for field in _COMMON},
        }
        for each in versions
    ]


def _validate_names(path: str, names: Part) -> list[Cause]:
    kind, listed = names.get("kind") or "", names.get("listKind") or ""
    causes = [
        required(f"{path}.{field}") for field in ("plural", "singular", "kind", "listKind") if not names.get(field)
    ]
    for field in ("plural", "singular"):
        text = names.get(field) or ""
        if text and (problems := dns1035_label_problems(text)):
            causes.append(invalid(f"{path}.{field}", text, ",".join(problems)))
    for field, text in (("kind", kind), ("listKind", listed)):
        if text and (problems := dns1035_label_problems(text.lower())):
            causes.append(invalid(f"{path}.{field}", text, _MIXED_CASE + ",".join(problems)))
    for field in ("shortNames", "categories"):
        for index, text in enumerate(names.get(field) or ()):
            if problems := dns1035_label_problems(text):
                causes.append(invalid(f"{path}.{field}[{index}]", text, ",".join(problems)))
    if kind and kind == listed:
        causes.append(invalid(f"{path}.listKind", listed, "kind and listKind may not be the same"))
    return causes


def _validate_stored(obj: Object, versions: Sequence[Part]) -> list[Cause]:
    path, stored = "status.storedVersions", (obj.get("status") or {}).get("storedVersions") or []
    if not stored:
        return [invalid(path, None, "must have at least one stored version")]
    names = {each.get("name") for each in versions}
    storage = [each.get("name") for each in versions if each.get("storage")]
    causes = [
        invalid(
            f"{path}[{index}]",
            name,
            f"missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until "
            f"a storage migration ensures no data remains persisted in {name} and removes {name} from "
            "status.storedVersions",
        )
        for index, name in enumerate(stored)
        if name not in names
    ]
    if storage and storage[-1] not in stored:
        causes.append(invalid(path, stored, f"must have the storage version {storage[-1]}"))
    return causes


def _validate_approval(obj: Object) -> list[Cause]:
    group = (obj.get("spec") or {}).get("group") or ""
    if not any(group == each or group.endswith(f".{each}") for each in _PROTECTED):
        return []
    path, text = f"metadata.annotations[{APPROVAL}]", annotations_of(obj).get(APPROVAL) or ""
    if not text:
        return [required(path, f'protected groups must have approval annotation "{APPROVAL}", {_SEE}')]
    url = urlsplit(text)
    if text.startswith("unapproved") or (url.scheme and url.netloc):
        return []
    need = f'protected groups must have approval annotation "{APPROVAL}" with either a URL or a reason starting with'
    return [invalid(path, text, f'{need} "unapproved", {_SEE}')]


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a definition may not change."""
    del request
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    causes: list[Cause] = []
    established = is_condition_true(old, "Established")
    for field in ("group", "scope"):
        if spec.get(field) != before.get(field) and (established or field == "group"):
            causes += each_invalid(f"spec.{field}", spec.get(field), ["field is immutable"])
    names, names_before = spec.get("names") or {}, before.get("names") or {}
    for field in ("kind", "plural"):
        if names.get(field) != names_before.get(field) and (established or field == "plural"):
            causes.append(invalid(f"spec.names.{field}", names.get(field), "field is immutable"))
    return causes


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, scope, versions, when it was made, group, kind, short names, whether it is served."""
    del now
    spec = obj.get("spec") or {}
    names = spec.get("names") or {}
    versions = [
        f"{each.get('name') or ''}{'(storage)' if each.get('storage') else ''}" for each in spec.get("versions") or ()
    ]
    return [
        name_of(obj),
        spec.get("scope") or "",
        ",".join(versions),
        metadata_of(obj).get("creationTimestamp"),
        spec.get("group") or "",
        names.get("kind") or "",
        ",".join(names.get("shortNames") or ()),
        is_condition_true(obj, "Established"),
    ]
