"""CSIStorageCapacities: how much a driver has left where.

Source: pkg/apis/storage/validation (v1.37).
"""

from moorage.api.request import Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object
from moorage.objects.quantity import parse_quantity
from moorage.objects.selector_rules import printed_selector, validate_label_selector
from moorage.objects.validation import NOT_NEGATIVE, dns1123_subdomain_problems, each_invalid, invalid


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a CSIStorageCapacity."""
    del request
    causes = validate_label_selector("nodeTopology", obj.get("nodeTopology"))
    name = obj.get("storageClassName") or ""
    causes += each_invalid("storageClassName", name, dns1123_subdomain_problems(name))
    capacity = obj.get("capacity")
    if capacity is not None and parse_quantity(capacity).nanos < 0:
        causes.append(invalid("capacity", capacity, NOT_NEGATIVE))
    return causes


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a CSIStorageCapacity may not change: what it is about."""
    del request
    causes: list[Cause] = []
    if printed_selector(obj.get("nodeTopology")) != printed_selector(old.get("nodeTopology")):
        causes.append(invalid("nodeTopology", printed_selector(obj.get("nodeTopology")), "field is immutable"))
    if obj.get("storageClassName") != old.get("storageClassName"):
        causes.append(invalid("storageClassName", obj.get("storageClassName"), "field is immutable"))
    return causes
