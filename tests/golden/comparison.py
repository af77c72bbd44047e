"""What differs between recorded answers and given ones, in words."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.golden.cases import Case

#: How much of a value a difference shows.
_SHOWN = 300


class StepDifference(NamedTuple):
    """What differs in the answer to one step; step -1 stands for the whole case."""

    step: int
    what: str
    lines: Sequence[str]


def compare(case: Case, answers: Sequence[Any]) -> list[StepDifference]:
    """Return what differs, step by step, outside the paths that the case and its steps ignore."""
    found = []
    for index, (step, wanted, given) in enumerate(zip(case["steps"], case["answers"], answers, strict=False)):
        if wanted is None:
            continue
        ignored = [*(case.get("ignore") or []), *(step.get("ignore") or [])]
        lines = differences(_without(wanted, ignored), _without(given, ignored))
        if lines:
            found.append(StepDifference(index, title_of(step), lines))
    return found


def title_of(step: dict[str, Any]) -> str:
    """Return what a step does, in a few words."""
    return next((step[key] for key in ("do", "wait", "watch", "end") if step.get(key)), "trace")


def differences(wanted: Any, given: Any, path: str = "") -> list[str]:
    """Return one line for each place: `-` missing, `+` unexpected, `!` another value or type."""
    if isinstance(wanted, dict) and isinstance(given, dict):
        places = [(f"{path}.{key}" if path else key, key) for key in sorted(wanted.keys() | given.keys())]
        return [line for place, key in places for line in _at(place, _item(wanted, key), _item(given, key))]
    if isinstance(wanted, list) and isinstance(given, list):
        longer = range(max(len(wanted), len(given)))
        return [line for i in longer for line in _at(f"{path}[{i}]", wanted[i : i + 1], given[i : i + 1])]
    if wanted == given and type(wanted) is type(given):
        return []
    indent = " " * (len(path) + 4)
    return [f"! {path}: want {json.dumps(wanted)[:_SHOWN]}\n{indent}got  {json.dumps(given)[:_SHOWN]}"]


def without(value: Any, pattern: str) -> Any:
    """Return a value without the places of a path pattern: `*` is one step, `**` any number, an item becomes None."""
    return _drop(value, pattern.split("."))


def _item(mapping: dict[str, Any], key: str) -> list[Any]:
    return [mapping[key]] if key in mapping else []


def _at(path: str, wanted: list[Any], given: list[Any]) -> list[str]:
    """Compare two values that may be absent, each in a list of none or one."""
    if wanted and given:
        return differences(wanted[0], given[0], path)
    sign, value = ("-", wanted[0]) if wanted else ("+", given[0])
    return [f"{sign} {path} = {json.dumps(value)[:_SHOWN]}"]


def _without(answer: Any, patterns: Sequence[str]) -> Any:
    """Return an answer without ignored places: of its body, or of the objects of its watch lines."""
    if not isinstance(answer, dict):
        return answer
    for pattern in patterns:
        if "events" in answer:
            lines = [
                {**line, "object": without(line["object"], pattern)} if "object" in line else line
                for line in answer["events"]
            ]
            answer = {**answer, "events": lines}
        elif "body" in answer:
            answer = {**answer, "body": without(answer["body"], pattern)}
    return answer


def _drop(value: Any, steps: Sequence[str]) -> Any:
    if not steps:
        return value
    head, rest = steps[0], steps[1:]
    if head == "**":
        value = _drop(value, rest)
        if isinstance(value, dict):
            return {key: _drop(each, steps) for key, each in value.items()}
        return [_drop(each, steps) for each in value] if isinstance(value, list) else value
    if isinstance(value, dict):
        return {
            key: _drop(each, rest) if _names(head, key) else each
            for key, each in value.items()
            if rest or not _names(head, key)
        }
    if isinstance(value, list):
        return [(_drop(each, rest) if rest else None) if _names(head, i) else each for i, each in enumerate(value)]
    return value


def _names(step: str, key: str | int) -> bool:
    return step in ("*", str(key).replace(".", "~1"))
