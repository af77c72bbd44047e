"""APIServices: who serves a group and version of the API.

Source: kube-aggregator/pkg/apis/apiregistration/validation, pkg/registry/apiservice/{strategy,storage} (v1.37).
"""

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Draft, Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, condition_of, format_time, name_of
from moorage.objects.validation import (
    dns1035_label_problems,
    dns1123_subdomain_problems,
    each_invalid,
    in_list,
    invalid,
    port_number_problems,
    required,
)

Part = Mapping[str, Any]

GROUP_PRIORITY_MOST, VERSION_PRIORITY_MOST = 20000, 1000

_LOCAL = {"reason": "Local", "message": "Local APIServices are always available"}
_STATES = ("False", "True", "Unknown")


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Start without a status; what this server serves itself is there at once."""
    del lookup
    draft["status"] = {}
    if (draft.get("spec") or {}).get("service") is None:
        moment = format_time(request.now)
        available = {"type": "Available", "status": "True", "lastTransitionTime": moment, **_LOCAL}
        draft["status"] = {"conditions": [available]}


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of an APIService."""
    del request
    spec = obj.get("spec") or {}
    group, version = spec.get("group") or "", spec.get("version") or ""
    causes: list[Cause] = []
    if name_of(obj) != f"{version}.{group}":
        text = f'must be `spec.version+"."+spec.group`: "{version}.{group}"'
        causes.append(invalid("metadata.name", name_of(obj), text))
    if group:
        causes += each_invalid("spec.group", group, dns1123_subdomain_problems(group))
    elif version != "v1" and version:
        causes.append(required("spec.group", "only v1 may have an empty group and it better be legacy kube"))
    causes += each_invalid("spec.version", version, dns1035_label_problems(version))
    for field, most in (("groupPriorityMinimum", GROUP_PRIORITY_MOST), ("versionPriority", VERSION_PRIORITY_MOST)):
        number = spec.get(field) or 0
        if not 0 < number <= most:
            causes.append(invalid(f"spec.{field}", number, f"must be positive and less than {most}"))
    return causes + _validate_service(spec)


def _validate_service(spec: Part) -> list[Cause]:
    service, bundle, insecure = spec.get("service"), spec.get("caBundle"), spec.get("insecureSkipTLSVerify")
    causes: list[Cause] = []
    if service is None:
        if bundle:
            shown = f"{len(base64.b64decode(bundle))} bytes"
            causes.append(invalid("spec.caBundle", shown, "local APIServices may not have a caBundle"))
        if insecure:
            text = "local APIServices may not have insecureSkipTLSVerify"
            causes.append(invalid("spec.insecureSkipTLSVerify", insecure, text))
        return causes
    causes += [required(f"spec.service.{field}") for field in ("namespace", "name") if not service.get(field)]
    port = service.get("port")
    if port is not None and (problems := port_number_problems(port)):
        causes.append(invalid("spec.service.port", port, f"port is not valid: {','.join(problems)}"))
    if insecure and bundle:
        causes.append(invalid("spec.insecureSkipTLSVerify", insecure, "may not be true if caBundle is present"))
    return causes


def validate_status(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what a status may not say."""
    del old, request
    causes: list[Cause] = []
    for index, condition in enumerate((obj.get("status") or {}).get("conditions") or ()):
        causes += in_list(f"status.conditions[{index}].status", condition.get("status") or "", _STATES)
    return causes


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, service, whether it is available, age."""
    service = (obj.get("spec") or {}).get("service")
    shown = "Local" if service is None else f"{service.get('namespace') or ''}/{service.get('name') or ''}"
    condition = condition_of(obj, "Available")
    state = "Unknown" if condition is None else condition.get("status") or ""
    if condition is not None and state != "True":
        state = f"{state} ({condition.get('reason') or ''})"
    return [name_of(obj), shown, state, age_of(obj, now)]
