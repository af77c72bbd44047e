"""MutatingAdmissionPolicies: changes of users to what is written.

Source: pkg/printers/internalversion (v1.37).
"""

from datetime import datetime
from typing import Any

from moorage.api.kinds.workload.cells import age_of
from moorage.objects.metadata import Object, name_of

has_generation = True


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, number of mutations, parameter kind, age."""
    spec = obj.get("spec") or {}
    kind = spec.get("paramKind") or {}
    shown = f"{kind.get('apiVersion')}/{kind.get('kind')}" if kind else "<unset>"
    return [name_of(obj), len(spec.get("mutations") or ()), shown, age_of(obj, now)]
