"""ServiceAccounts: who pods are.

Source: pkg/printers/internalversion (v1.37).
"""

from datetime import datetime
from typing import Any

from moorage.api.kinds.workload.cells import age_of
from moorage.objects.metadata import Object, annotations_of, name_of

ENFORCE_MOUNTABLE = "kubernetes.io/enforce-mountable-secrets"


def warnings(obj: Object, old: Object | None) -> list[str]:
    """Return what to warn about."""
    del old
    if ENFORCE_MOUNTABLE not in annotations_of(obj):
        return []
    text = "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"
    return [f"metadata.annotations[{ENFORCE_MOUNTABLE}]: {text}"]


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, age."""
    return [name_of(obj), age_of(obj, now)]
