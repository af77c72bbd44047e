"""ValidatingAdmissionPolicyBindings: where such policies hold.

Source: pkg/printers/internalversion (v1.37).
"""

from datetime import datetime
from typing import Any

from moorage.api.kinds.workload.cells import age_of
from moorage.objects.metadata import Object, name_of

has_generation = True


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, policy, parameter, age."""
    spec = obj.get("spec") or {}
    ref = spec.get("paramRef") or {}
    shown = f"{ref.get('namespace') or '*'}/{ref['name']}" if ref.get("name") else "<unset>"
    return [name_of(obj), spec.get("policyName") or "", shown, age_of(obj, now)]
