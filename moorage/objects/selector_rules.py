"""The rules for label selectors and node selector terms, and their text form.

Source: apimachinery/pkg/apis/meta/v1/validation, pkg/apis/core/validation (v1.37).
"""

from collections.abc import Mapping
from typing import Any

from moorage.objects.errors import Cause
from moorage.objects.validation import (
    dns1123_subdomain_problems,
    each_invalid,
    forbidden,
    invalid,
    label_value_problems,
    qualified_name_problems,
    required,
    validate_labels,
)

_NEEDS_VALUES = "must be specified when `operator` is 'In' or 'NotIn'"
_NO_VALUES = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
_BAD_OPERATOR = "not a valid selector operator"


def printed_selector(selector: Mapping[str, Any] | None) -> Any:
    """Return the selector as it is printed in messages: only what is set, in its fixed order."""
    if selector is None:
        return None
    shown: dict[str, Any] = {}
    if selector.get("matchLabels"):
        shown["matchLabels"] = dict(sorted(selector["matchLabels"].items()))
    if selector.get("matchExpressions"):
        shown["matchExpressions"] = [
            {"key": each.get("key") or "", "operator": each.get("operator") or ""}
            | ({"values": each["values"]} if each.get("values") else {})
            for each in selector["matchExpressions"]
        ]
    return shown


def is_empty_selector(selector: Mapping[str, Any] | None) -> bool:
    """Tell whether the selector is missing or requires nothing."""
    return not selector or not (selector.get("matchLabels") or selector.get("matchExpressions"))


def validate_label_selector(path: str, selector: Mapping[str, Any] | None) -> list[Cause]:
    """Return the causes of a selector with wrong keys, operators or values."""
    if not selector:
        return []
    causes = validate_labels(f"{path}.matchLabels", selector.get("matchLabels"))
    for index, requirement in enumerate(selector.get("matchExpressions") or ()):
        causes += _validate_requirement(f"{path}.matchExpressions[{index}]", requirement)
    return causes


def _validate_requirement(path: str, requirement: Mapping[str, Any]) -> list[Cause]:
    causes: list[Cause] = []
    operator, values = requirement.get("operator") or "", requirement.get("values") or ()
    key = requirement.get("key") or ""
    if operator in {"In", "NotIn"}:
        if not values:
            causes.append(required(f"{path}.values", _NEEDS_VALUES))
    elif operator in {"Exists", "DoesNotExist"}:
        if values:
            causes.append(forbidden(f"{path}.values", _NO_VALUES))
    else:
        causes.append(invalid(f"{path}.operator", operator, _BAD_OPERATOR))
    causes += each_invalid(f"{path}.key", key, qualified_name_problems(key))
    for index, value in enumerate(values):
        causes += each_invalid(f"{path}.values[{index}]", value, label_value_problems(value))
    return causes


def validate_node_selector(path: str, selector: Mapping[str, Any]) -> list[Cause]:
    """Return the causes of a node selector without terms or with wrong ones."""
    terms = selector.get("nodeSelectorTerms") or ()
    if not terms:
        return [required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")]
    causes: list[Cause] = []
    for index, term in enumerate(terms):
        causes += validate_node_selector_term(f"{path}.nodeSelectorTerms[{index}]", term)
    return causes


def validate_node_selector_term(path: str, term: Mapping[str, Any]) -> list[Cause]:
    """Return the causes of a term with wrong requirements on labels or fields."""
    causes: list[Cause] = []
    for index, requirement in enumerate(term.get("matchExpressions") or ()):
        causes += _validate_node_requirement(f"{path}.matchExpressions[{index}]", requirement)
    for index, requirement in enumerate(term.get("matchFields") or ()):
        causes += _validate_field_requirement(f"{path}.matchFields[{index}]", requirement)
    return causes


def _validate_node_requirement(path: str, requirement: Mapping[str, Any]) -> list[Cause]:
    operator, values = requirement.get("operator") or "", requirement.get("values") or ()
    if operator not in {"Gt", "Lt"}:
        return _validate_requirement(path, requirement)
    causes: list[Cause] = []
    if len(values) != 1:
        causes.append(required(f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'"))
    key = requirement.get("key") or ""
    causes += each_invalid(f"{path}.key", key, qualified_name_problems(key))
    for index, value in enumerate(values):
        causes += each_invalid(f"{path}.values[{index}]", value, label_value_problems(value))
    return causes


def _validate_field_requirement(path: str, requirement: Mapping[str, Any]) -> list[Cause]:
    causes: list[Cause] = []
    operator, values = requirement.get("operator") or "", requirement.get("values") or ()
    key = requirement.get("key") or ""
    if operator in {"In", "NotIn"}:
        if len(values) != 1:
            text = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
            causes.append(required(f"{path}.values", text))
    else:
        causes.append(invalid(f"{path}.operator", operator, _BAD_OPERATOR))
    if key != "metadata.name":
        causes.append(invalid(f"{path}.key", key, "not a valid field selector key"))
        return causes
    for index, value in enumerate(values):
        causes += each_invalid(f"{path}.values[{index}]", value, dns1123_subdomain_problems(value))
    return causes


def selector_text(selector: Mapping[str, Any] | None) -> str:
    """Return a label selector as text, requirements sorted by key: `a=b,!c,z notin (1,2)`."""
    if selector is None:
        return ""
    parts = [(key, f"{key}={value}") for key, value in (selector.get("matchLabels") or {}).items()]
    for each in selector.get("matchExpressions") or ():
        key, operator = each.get("key") or "", each.get("operator") or ""
        values = ",".join(sorted(each.get("values") or ()))
        text = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}.get(
            operator, f"!{key}"
        )
        parts.append((key, text))
    return ",".join(text for _, text in sorted(parts, key=lambda part: part[0]))


def labels_text(labels: Mapping[str, str] | None) -> str:
    """Return labels as a selector's text, sorted by key; `<none>` if there are none."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or "<none>"
