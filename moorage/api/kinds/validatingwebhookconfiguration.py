"""ValidatingWebhookConfigurations: who is asked before objects are stored.

Source: pkg/apis/admissionregistration/validation, pkg/printers (v1.37).
"""

from datetime import datetime
from typing import Any

from moorage.api.kinds.webhooks.hooks import validate_webhooks
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, name_of


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a ValidatingWebhookConfiguration."""
    del request
    return validate_webhooks(obj.get("webhooks") or (), mutating=False)


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, number of webhooks, age."""
    return [name_of(obj), len(obj.get("webhooks") or ()), age_of(obj, now)]
