"""ServiceAccounts: who pods are.

Source: pkg/printers/internalversion (v1.37).
"""

from datetime import datetime
from typing import Any

from moorage.api.kinds.workload.cells import age_of
from moorage.objects.metadata import Object, name_of


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, age."""
    return [name_of(obj), age_of(obj, now)]
