"""The completion indexes of an Indexed Job: which pod has which, and how sets of them are written.

Source: pkg/controller/job/indexed_job_utils.go (v1.37).
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from moorage.objects.metadata import Object, annotations_of, name_of
from moorage.objects.workloads import PREFIX_MOST

#: The annotation and the label by which a pod carries its index.
INDEX: Final = "batch.kubernetes.io/job-completion-index"
VARIABLE: Final = "JOB_COMPLETION_INDEX"


def is_indexed(job: Object) -> bool:
    """Tell whether each pod of the Job has an index of its own."""
    return bool(job["spec"].get("completionMode") == "Indexed")


def completions_of(job: Object) -> int | None:
    """Return how many pods must succeed, None for a work queue."""
    completions = job["spec"].get("completions")
    return None if completions is None else int(completions)


def index_of(job: Object, pod: Object) -> int | None:
    """Return the index of a pod, None if it has none that the Job asks for."""
    text = annotations_of(pod).get(INDEX, "")
    index = int(text) if text.isdecimal() else None
    return index if index is not None and index < (completions_of(job) or 0) else None


def indexes_of(job: Object, pods: Iterable[Object]) -> frozenset[int]:
    """Return the indexes of these pods."""
    return frozenset(index for index in (index_of(job, pod) for pod in pods) if index is not None)


def parse_indexes(text: str, completions: int) -> frozenset[int]:
    """Return the indexes that a text such as `0-2,4` names, those below `completions`."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), min(int(last or first) + 1, completions)))
    return frozenset(found)


def write_indexes(indexes: Iterable[int]) -> str:
    """Return the text for a set of indexes: ascending, three and more in a row as `first-last`."""
    parts: list[str] = []
    run: list[int] = []
    for index in [*sorted(indexes), None]:
        if run and index == run[-1] + 1:
            run.append(run[-1] + 1)
            continue
        parts += [f"{run[0]}-{run[-1]}"] if len(run) > 2 else map(str, run)
        run = [] if index is None else [index]
    return ",".join(parts)


def prefix_for(job: Object, index: int) -> str:
    """Return the generateName of the pods at an index, at most 58 characters."""
    ending = f"-{index}-"
    return name_of(job)[: PREFIX_MOST - len(ending)] + ending


def with_variable(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a pod spec whose containers can read their index from the environment."""
    changed = dict(spec)
    for field in ("initContainers", "containers"):
        if spec.get(field):
            changed[field] = [_informed(container) for container in spec[field]]
    return changed


def _informed(container: Mapping[str, Any]) -> Mapping[str, Any]:
    variables = container.get("env") or ()
    if any(each.get("name") == VARIABLE for each in variables):
        return container
    source = {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX}']"}}
    return {**container, "env": [*variables, {"name": VARIABLE, "valueFrom": source}]}
