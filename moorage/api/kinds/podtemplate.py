"""PodTemplates: a pod template as an object of its own.

Source: pkg/registry/core/podtemplate/strategy.go (v1.37).
"""

from datetime import datetime
from typing import Any

from moorage.api.kinds.pod_spec.specification import validate_pod_template
from moorage.api.kinds.pod_spec.warnings import spec_warnings
from moorage.api.kinds.workload.cells import container_cells
from moorage.api.request import Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, name_of
from moorage.objects.selector_rules import labels_text

has_generation = True


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a PodTemplate."""
    del request
    return validate_pod_template("template", obj.get("template") or {})


def warnings(obj: Object, old: Object | None) -> list[str]:
    """Return what to warn about."""
    del old
    return spec_warnings("template.spec", (obj.get("template") or {}).get("spec") or {})


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, containers, images, labels of the pods."""
    del now
    template = obj.get("template") or {}
    return [name_of(obj), *container_cells(template), labels_text((template.get("metadata") or {}).get("labels"))]
