"""Field selectors (`status.phase!=Running`): which labels a resource knows, what objects answer, and the predicates.

Labels and errors are data (data/fieldselectors.json). What an object answers is taken out once, when it is stored
(`fields_for`), always in the words of the stored version, so that a selector never decodes an object.
Source: apimachinery/pkg/fields/selector.go, the conversions and strategies of each kind (v1.37).
"""

import os.path
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple

import orjson

from moorage.objects.errors import BadRequest
from moorage.objects.metadata import Object

Fields = Mapping[str, str]

_DATA: Final = os.path.join(os.path.dirname(__file__), "data", "fieldselectors.json")
_NOTHING: Final[Mapping[str, Any]] = {}

#: What custom resources answer for labels that they do not have.
_UNSUPPORTED: Final = "field label not supported: %s"


class Term(NamedTuple):
    """One condition: the field's text is (not) this one."""

    label: str
    value: str
    equal: bool


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """The conditions of a field selector text; called with an object's fields it tells whether they hold."""

    terms: tuple[Term, ...]

    @property
    def exact(self) -> Mapping[str, str]:
        """The fields whose text is told exactly."""
        return {term.label: term.value for term in self.terms if term.equal}

    def __call__(self, fields: Fields) -> bool:
        """Tell whether the fields meet all conditions; a field that is not there is empty."""
        return all((fields.get(term.label, "") == term.value) is term.equal for term in self.terms)


class _Known(NamedTuple):
    """What a resource accepts: its labels, and the text (with one %s) for all others."""

    labels: tuple[str, ...]
    error: str


def selectable_fields(resource_id: str, extra: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the field labels that a resource accepts; `extra` are a custom resource's own, without a leading dot."""
    return _known(resource_id).labels + tuple(extra)


def parse_field_selector(text: str, resource_id: str, extra: Sequence[str] = ()) -> FieldSelector:
    """Return what a `fieldSelector` text means for a resource. Raises BadRequest with upstream's text.

    extra: the selectable fields of a custom resource, without a leading dot.
    """
    known, renamed = _known(resource_id), _RENAMED.get(resource_id, _NOTHING)
    terms: list[Term] = []
    for part in sorted(filter(None, _parts(text))):
        term = _term(text, part)
        if term.label not in known.labels and term.label not in extra and term.label not in renamed:
            raise BadRequest(known.error % term.label)
        terms.append(term._replace(label=renamed.get(term.label, term.label)))
    return FieldSelector(tuple(terms))


def fields_for(resource_id: str, obj: Object, extra: Sequence[str] = ()) -> Fields:
    """Return what an object answers to field selectors: label -> text, in the words of the stored version."""
    metadata = obj["metadata"]
    fields = {"metadata.name": metadata.get("name") or "", "metadata.namespace": metadata.get("namespace") or ""}
    own = _EXTRACTIONS.get(resource_id)
    if own is not None:
        fields.update(own(obj))
    for path in extra:
        fields[path] = _text_at(obj, path)
    return fields


@cache
def _table() -> Mapping[str, Any]:
    with open(_DATA, "rb") as file:
        table: Mapping[str, Any] = orjson.loads(file.read())
    return table


@cache
def _known(resource_id: str) -> _Known:
    plural, _, group = resource_id.partition(".")
    about = _table()["$"]
    for key, row in _table().items():
        api_version, _, name = key.rpartition("/")
        if name == plural and api_version.rpartition("/")[0] == group:
            if row == "default":
                return _Known(tuple(about["default"]), about["defaultError"][2])
            return _Known(tuple(row["accepted"]), row["error"][2])
    return _Known(tuple(about["default"]), _UNSUPPORTED)


def _parts(text: str) -> list[str]:
    """Split at commas that no backslash stands in front of."""
    parts, start, escaped = [], 0, False
    for index, char in enumerate(text):
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == ",":
            parts.append(text[start:index])
            start = index + 1
    parts.append(text[start:])
    return parts


def _term(text: str, part: str) -> Term:
    for index in range(len(part)):
        for operator in ("!=", "==", "="):
            if part.startswith(operator, index):
                value = _unescaped(part[index + len(operator) :])
                return Term(part[:index], value, operator != "!=")
    raise BadRequest(f"invalid selector: '{text}'; can't understand '{part}'")


def _unescaped(text: str) -> str:
    """Return the value that the text means: a backslash may stand before a comma, an equals sign and itself."""
    if "\\" not in text and "=" not in text:
        return text
    value, escaped = "", False
    for char in text:
        if escaped:
            if char not in "\\,=":
                raise BadRequest(f"invalid field selector: invalid escape sequence: \\{char}")
            value, escaped = value + char, False
        elif char == "\\":
            escaped = True
        elif char in ",=":
            raise BadRequest(f"invalid field selector: unescaped character in value: {ord(char)}")
        else:
            value += char
    if escaped:
        raise BadRequest("invalid field selector: invalid escape sequence: \\")
    return value


def _text_at(obj: Object, path: str) -> str:
    value: Any = obj
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    if value is None:
        return ""
    if isinstance(value, bool):
        return _bool(value)
    return str(value)


def _bool(value: object) -> str:
    return "true" if value else "false"


def _part(obj: Object, name: str) -> Mapping[str, Any]:
    return obj.get(name) or _NOTHING


def _pod(obj: Object) -> Fields:
    spec, status = _part(obj, "spec"), _part(obj, "status")
    addresses = status.get("podIPs")
    return {
        "spec.nodeName": spec.get("nodeName") or "",
        "spec.restartPolicy": spec.get("restartPolicy") or "",
        "spec.schedulerName": spec.get("schedulerName") or "",
        "spec.serviceAccountName": spec.get("serviceAccountName") or "",
        "spec.hostNetwork": "true" if spec.get("hostNetwork") else "false",
        "status.phase": status.get("phase") or "",
        "status.podIP": (addresses[0].get("ip") or "") if addresses else status.get("podIP") or "",
        "status.nominatedNodeName": status.get("nominatedNodeName") or "",
    }


def _event(obj: Object) -> Fields:
    """Return the fields of an Event of either API; those of events.k8s.io have other names for the same things."""
    about = obj.get("involvedObject") or obj.get("regarding") or _NOTHING
    source = obj.get("source") or obj.get("deprecatedSource") or _NOTHING
    reporter = obj.get("reportingComponent") or obj.get("reportingController") or ""
    fields = {f"involvedObject.{name}": about.get(name) or "" for name in _REFERENCE}
    fields["reason"] = obj.get("reason") or ""
    fields["reportingComponent"] = reporter
    fields["source"] = source.get("component") or reporter
    fields["type"] = obj.get("type") or ""
    return fields


_REFERENCE: Final = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")


def _paths(*paths: str) -> Callable[[Object], Fields]:
    """Return an extraction of two-step paths whose value is text."""
    steps = [(path, *path.split(".", 1)) for path in paths]
    return lambda obj: {path: _part(obj, first).get(rest) or "" for path, first, rest in steps}


def _slice(obj: Object) -> Fields:
    spec = _part(obj, "spec")
    return {
        "spec.nodeName": spec.get("nodeName") or "",
        "spec.driver": spec.get("driver") or "",
        "spec.pool.name": _part(spec, "pool").get("name") or "",
    }


_EXTRACTIONS: Final[Mapping[str, Callable[[Object], Fields]]] = {
    "pods": _pod,
    "events": _event,
    "events.events.k8s.io": _event,
    "namespaces": _paths("status.phase"),
    "nodes": lambda obj: {"spec.unschedulable": _bool(_part(obj, "spec").get("unschedulable"))},
    "replicationcontrollers": lambda obj: {"status.replicas": str(_part(obj, "status").get("replicas") or 0)},
    "secrets": lambda obj: {"type": obj.get("type") or ""},
    "services": _paths("spec.clusterIP", "spec.type"),
    "jobs.batch": lambda obj: {"status.successful": str(_part(obj, "status").get("succeeded") or 0)},
    "certificatesigningrequests.certificates.k8s.io": _paths("spec.signerName"),
    "clustertrustbundles.certificates.k8s.io": _paths("spec.signerName"),
    "podcertificaterequests.certificates.k8s.io": _paths("spec.nodeName", "spec.signerName", "spec.podName"),
    "resourceslices.resource.k8s.io": _slice,
}

#: Labels that mean the same as another one: label -> the one under which `fields_for` stores the text.
_RENAMED: Final[Mapping[str, Mapping[str, str]]] = {
    "pods": {"spec.host": "spec.nodeName"},
    "events.events.k8s.io": {
        "reportingController": "reportingComponent",
        **{f"regarding.{name}": f"involvedObject.{name}" for name in _REFERENCE},
    },
}
