"""ReplicationControllers: the first form of ReplicaSets, with a map as selector.

Source: pkg/registry/core/replicationcontroller/strategy.go, pkg/apis/core/validation (v1.37).
"""

from datetime import datetime
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.pod_spec.specification import validate_pod_template
from moorage.api.kinds.pod_spec.warnings import name_warnings, template_warnings
from moorage.api.kinds.replicaset import replica_status_causes
from moorage.api.kinds.workload.cells import age_of, container_cells
from moorage.api.kinds.workload.numbers import validate_amounts
from moorage.api.kinds.workload.templates import validate_always_running
from moorage.api.request import Draft, Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, name_of
from moorage.objects.selector_rules import labels_text
from moorage.objects.validation import invalid, required

has_generation = True


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Start with a status that says nothing."""
    del request, lookup
    draft["status"] = {"replicas": 0}


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a ReplicationController."""
    del request
    spec = obj.get("spec") or {}
    selector, template = spec.get("selector") or {}, spec.get("template")
    causes = validate_amounts("spec", spec, "minReadySeconds")
    if not selector:
        causes.append(required("spec.selector"))
    causes += validate_amounts("spec", spec, "replicas")
    if template is None:
        return [*causes, required("spec.template")]
    labels = (template.get("metadata") or {}).get("labels") or {}
    if selector and any(labels.get(key) != value for key, value in selector.items()):
        text = "`selector` does not match template `labels`"
        causes.append(invalid("spec.template.metadata.labels", dict(sorted(labels.items())) or None, text))
    causes += validate_pod_template("spec.template", template)
    return causes + validate_always_running("spec.template.spec", template.get("spec") or {}, "ReplicationController")


def validate_status(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what a status may not say."""
    del old, request
    return replica_status_causes(obj)


def warnings(obj: Object, old: Object | None) -> list[str]:
    """Return what to warn about."""
    texts = name_warnings(name_of(obj)) if old is None else []
    return texts + template_warnings(obj, old)


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, desired, current, ready, age, containers, images, selector."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    return [
        name_of(obj),
        spec.get("replicas") or 0,
        status.get("replicas") or 0,
        status.get("readyReplicas") or 0,
        age_of(obj, now),
        *container_cells(spec.get("template")),
        labels_text(spec.get("selector")),
    ]
