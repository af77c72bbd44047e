"""When a job's pods count as failed, and when the job has succeeded.

Source: pkg/apis/batch/validation (v1.37).
"""

from collections.abc import Mapping
from typing import Any

from moorage.objects.errors import Cause
from moorage.objects.validation import (
    duplicate,
    each_invalid,
    go_json,
    invalid,
    not_negative,
    not_supported,
    qualified_name_problems,
    required,
    too_many,
)

Part = Mapping[str, Any]

RULES_MOST, EXIT_CODES_MOST, CONDITIONS_MOST = 20, 255, 20
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_STATUSES = ("False", "True", "Unknown")


def bare_invalid(path: str, text: str) -> Cause:
    """Return the cause that upstream makes of a text in the place of the value."""
    return Cause("FieldValueInvalid", f"Invalid value: {text}", path)


def validate_failure_policy(path: str, spec: Part) -> list[Cause]:
    """Return every broken rule of the policy for failed pods."""
    rules = spec["podFailurePolicy"].get("rules") or []
    if len(rules) > RULES_MOST:
        return [too_many(f"{path}.rules", len(rules), RULES_MOST)]
    template = (spec.get("template") or {}).get("spec") or {}
    names = {each.get("name") for field in ("containers", "initContainers") for each in template.get(field) or ()}
    causes: list[Cause] = []
    for index, rule in enumerate(rules):
        causes += _validate_failure_rule(f"{path}.rules[{index}]", rule, spec, names)
    return causes


def _quoted(names: tuple[str, ...]) -> str:
    return "[" + " ".join(f'"{name}"' for name in names) + "]"


def _validate_failure_rule(path: str, rule: Part, spec: Part, names: set[Any]) -> list[Cause]:
    action, codes, conditions = rule.get("action") or "", rule.get("onExitCodes"), rule.get("onPodConditions") or []
    causes: list[Cause] = []
    if not action:
        causes.append(required(f"{path}.action", f"valid values: {_quoted(_ACTIONS)}"))
    elif action == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
        text = "requires the backoffLimitPerIndex to be set"
        causes.append(invalid(f"{path}.action", action, text))
    elif action not in _ACTIONS:
        causes.append(not_supported(f"{path}.action", action, _ACTIONS))
    if codes is not None:
        causes += _validate_exit_codes(f"{path}.onExitCodes", codes, names)
    if conditions:
        causes += _validate_conditions(f"{path}.onPodConditions", conditions)
    if codes is not None and conditions:
        causes.append(bare_invalid(path, "specifying both OnExitCodes and OnPodConditions is not supported"))
    if codes is None and not conditions:
        causes.append(bare_invalid(path, "specifying one of OnExitCodes and OnPodConditions is required"))
    return causes


def _validate_exit_codes(path: str, codes: Part, names: set[Any]) -> list[Cause]:
    operator, values, name = codes.get("operator") or "", codes.get("values") or [], codes.get("containerName")
    causes: list[Cause] = []
    allowed = ("In", "NotIn")
    if not operator:
        causes.append(required(f"{path}.operator", f"valid values: {_quoted(allowed)}"))
    elif operator not in allowed:
        causes.append(not_supported(f"{path}.operator", operator, allowed))
    if name is not None and name not in names:
        text = "must be one of the container or initContainer names in the pod template"
        causes.append(invalid(f"{path}.containerName", name, text))
    if not values:
        causes.append(invalid(f"{path}.values", [], "at least one value is required"))
    elif len(values) > EXIT_CODES_MOST:
        causes.append(too_many(f"{path}.values", len(values), EXIT_CODES_MOST))
    is_ordered = True
    seen: set[int] = set()
    for index, value in enumerate(values):
        place = f"{path}.values[{index}]"
        if operator == "In" and value == 0:
            causes.append(invalid(place, value, "must not be 0 for the In operator"))
        if value in seen:
            causes.append(duplicate(place, value))
        seen.add(value)
        is_ordered = is_ordered and not (index and values[index - 1] > value)
    if not is_ordered:
        causes.append(invalid(f"{path}.values", values, "must be ordered"))
    return causes


def _validate_conditions(path: str, conditions: list[Part]) -> list[Cause]:
    causes: list[Cause] = []
    if len(conditions) > CONDITIONS_MOST:
        causes.append(too_many(path, len(conditions), CONDITIONS_MOST))
    for index, condition in enumerate(conditions):
        kind, status = condition.get("type") or "", condition.get("status") or ""
        causes += each_invalid(f"{path}[{index}].type", kind, qualified_name_problems(kind))
        place = f"{path}[{index}].status"
        if not status:
            causes.append(required(place, f"valid values: {_quoted(_STATUSES)}"))
        elif status not in _STATUSES:
            causes.append(not_supported(place, status, _STATUSES))
    return causes


def validate_success_policy(path: str, spec: Part) -> list[Cause]:
    """Return every broken rule of the policy for succeeded indexes."""
    policy, completions = spec["successPolicy"], spec.get("completions")
    if spec.get("completionMode") != "Indexed":
        return [invalid(path, printed_success_policy(policy), "requires indexed completion mode")]
    rules = policy.get("rules") or []
    if not rules:
        text = "at least one rules must be specified when the successPolicy is specified"
        return [required(f"{path}.rules", text)]
    causes = [too_many(f"{path}.rules", len(rules), RULES_MOST)] if len(rules) > RULES_MOST else []
    for index, rule in enumerate(rules):
        causes += _validate_success_rule(f"{path}.rules[{index}]", rule, completions or 0)
    return causes


def printed_success_policy(policy: Part | None) -> Any:
    """Return the policy as messages show it."""
    if policy is None:
        return None
    rules = [
        {"SucceededIndexes": each.get("succeededIndexes"), "SucceededCount": each.get("succeededCount")}
        for each in policy.get("rules") or ()
    ]
    return {"Rules": rules or None}


def _validate_success_rule(path: str, rule: Part, completions: int) -> list[Cause]:
    indexes, count = rule.get("succeededIndexes"), rule.get("succeededCount")
    if indexes is None and count is None:
        return [required(path, "at least one of succeededCount or succeededIndexes must be specified")]
    causes: list[Cause] = []
    total = 0
    if indexes is not None:
        total, problem = count_indexes(indexes, completions)
        if problem:
            text = f"error parsing succeededIndexes: {problem}"
            return [invalid(f"{path}.succeededIndexes", indexes, text)]
    if count is not None:
        place = f"{path}.succeededCount"
        causes += not_negative(place, count)
        if count > completions:
            text = f"must be less than or equal to {completions} (the number of specified completions)"
            causes.append(invalid(place, count, text))
        if indexes is not None and count > total:
            text = (
                f"must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
            )
            causes.append(invalid(place, count, text))
    return causes


def count_indexes(text: str, completions: int) -> tuple[int, str]:
    """Return how many indexes a text like `1,3-5` names, and what is wrong with it ("" if nothing)."""
    total, last = 0, -1
    for part in text.split(",") if text else ():
        ends = part.split("-")
        if len(ends) > 2:
            why = "violates the requirement that an index interval can have at most two parts separated by '-'"
            return 0, f"the fragment {go_json(part)} {why}"
        numbers = []
        for end in ends:
            if not end.isdigit():
                return 0, f'cannot convert string to integer for index: "{end}"'
            if int(end) >= completions:
                return 0, f'too large index: "{end}"'
            numbers.append(int(end))
        for number in numbers:
            if number <= last:
                return 0, f"non-increasing order, previous: {last}, current: {number}"
            last = number
        total += numbers[-1] - numbers[0] + 1
    return total, ""
