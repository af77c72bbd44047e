"""Selectors of workloads, and templates that must fit them.

Source: pkg/apis/apps/validation, pkg/apis/core/validation (v1.37).
"""

from collections.abc import Mapping
from typing import Any

from moorage.api.kinds.pod_spec.specification import validate_pod_template
from moorage.objects.errors import Cause
from moorage.objects.label_selectors import is_selected
from moorage.objects.selector_rules import is_empty_selector, printed_selector, validate_label_selector
from moorage.objects.validation import forbidden, invalid, not_supported, required

Part = Mapping[str, Any]

_NO_MATCH = "`selector` does not match template `labels`"


def validate_selector(
    path: str, selector: Part | None, *, empty_text: str = "", broken_text: str | None = None
) -> list[Cause]:
    """Return the causes of a workload's selector.

    empty_text:  what to say to an empty one.
    broken_text: what to say about the whole of a broken one, None to say nothing ("" says only that it is invalid).
    """
    if selector is None:
        return [required(path)]
    causes = validate_label_selector(path, selector)
    if is_empty_selector(selector):
        return [*causes, invalid(path, {}, empty_text)] if empty_text else causes
    if causes and broken_text is not None:
        causes.append(invalid(path, printed_selector(selector), broken_text))
    return causes


def validate_template(path: str, template: Part, selector: Part | None, kind: str) -> list[Cause]:
    """Return the causes of a template that its selector does not select, that is broken, or that `kind` cannot run."""
    causes: list[Cause] = []
    labels = (template.get("metadata") or {}).get("labels") or {}
    # A missing selector takes nothing, an empty one takes everything, a broken one is judged elsewhere.
    is_broken = bool(validate_label_selector("", selector))
    if (
        not is_broken
        and not (selector is not None and is_empty_selector(selector))
        and not is_selected(selector, labels)
    ):
        causes.append(invalid(f"{path}.metadata.labels", dict(sorted(labels.items())) or None, _NO_MATCH))
    causes += validate_pod_template(path, template)
    return causes + validate_always_running(f"{path}.spec", template.get("spec") or {}, kind)


def validate_always_running(path: str, spec: Part, kind: str) -> list[Cause]:
    """Return the causes of pods that would end by themselves."""
    causes: list[Cause] = []
    policy = spec.get("restartPolicy") or ""
    if policy and policy != "Always":
        causes.append(not_supported(f"{path}.restartPolicy", policy, ("Always",)))
    if spec.get("activeDeadlineSeconds") is not None:
        text = f"activeDeadlineSeconds in {kind} is not Supported"
        causes.append(forbidden(f"{path}.activeDeadlineSeconds", text))
    return causes


def validate_same_selector(new: Part, old: Part) -> list[Cause]:
    """Return the cause of a selector that changed."""
    if new.get("selector") == old.get("selector"):
        return []
    return [invalid("spec.selector", printed_selector(new.get("selector")), "field is immutable")]
