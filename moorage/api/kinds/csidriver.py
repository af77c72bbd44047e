"""CSIDrivers: what a volume driver can do.

Source: pkg/apis/storage/validation, pkg/registry/storage/csidriver/strategy.go (v1.37).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moorage.api.kinds.pod_spec.volumes import validate_csi_driver_name
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, name_of
from moorage.objects.validation import duplicate, in_list, invalid, not_supported

_MODES = ("Persistent", "Ephemeral")
_GROUP_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")
_IMMUTABLE = "field is immutable"

#: How short and how long tokens for drivers may live.
TOKEN_SECONDS_LEAST, TOKEN_SECONDS_MOST = 600, 1 << 32

#: How often a driver may update what a node can hold.
UPDATE_SECONDS_LEAST = 10

_TOKENS_OUTSIDE = (
    "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible "
    "logging of tokens in volume attributes"
)


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a CSIDriver."""
    del request
    spec = obj.get("spec") or {}
    causes = validate_csi_driver_name("metadata.name", name_of(obj))
    causes += [
        not_supported("spec.volumeLifecycleModes", mode, _MODES)
        for mode in spec.get("volumeLifecycleModes") or ()
        if mode not in _MODES
    ]
    if (policy := spec.get("fsGroupPolicy")) is not None:
        causes += in_list("spec.fsGroupPolicy", policy, _GROUP_POLICIES)
    requests = spec.get("tokenRequests") or []
    causes += _validate_token_requests("spec.tokenRequests", requests)
    in_secrets = spec.get("serviceAccountTokenInSecrets")
    if in_secrets is not None and not requests:
        text = "serviceAccountTokenInSecrets is set but no tokenRequests are specified"
        causes.append(invalid("spec.serviceAccountTokenInSecrets", in_secrets, text))
    seconds = spec.get("nodeAllocatableUpdatePeriodSeconds")
    if seconds is not None and seconds < UPDATE_SECONDS_LEAST:
        text = f"must be greater than or equal to {UPDATE_SECONDS_LEAST} seconds"
        causes.append(invalid("spec.nodeAllocatableUpdatePeriodSeconds", seconds, text))
    return causes


def _validate_token_requests(path: str, requests: list[Mapping[str, Any]]) -> list[Cause]:
    causes: list[Cause] = []
    audiences: set[str] = set()
    for index, request in enumerate(requests):
        audience, seconds = request.get("audience") or "", request.get("expirationSeconds")
        if audience in audiences:
            causes.append(duplicate(f"{path}[{index}].audience", audience))
            continue
        audiences.add(audience)
        if seconds is None:
            continue
        place = f"{path}[{index}].expirationSeconds"
        if seconds < TOKEN_SECONDS_LEAST:
            causes.append(invalid(place, seconds, "may not specify a duration less than 10 minutes"))
        if seconds > TOKEN_SECONDS_MOST:
            causes.append(invalid(place, seconds, "may not specify a duration larger than 2^32 seconds"))
    return causes


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a CSIDriver may not change."""
    del request
    new_spec, old_spec = obj.get("spec") or {}, old.get("spec") or {}
    causes: list[Cause] = []
    # The wrong word in the path is upstream's.
    for field, path in (("attachRequired", "attachedRequired"), ("volumeLifecycleModes", "volumeLifecycleModes")):
        if new_spec.get(field) != old_spec.get(field):
            causes.append(invalid(f"spec.{path}", new_spec.get(field), _IMMUTABLE))
    return causes


def warnings(obj: Object, old: Object | None) -> list[str]:
    """Return what to warn about: tokens that travel where they are logged."""
    spec, before = obj.get("spec") or {}, (old or {}).get("spec") or {}
    requests = spec.get("tokenRequests")
    if not requests or requests == before.get("tokenRequests") or "serviceAccountTokenInSecrets" in spec:
        return []
    return [_TOKENS_OUTSIDE]


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, what it needs and knows, audiences, modes, age."""
    spec = obj.get("spec") or {}
    audiences = [each.get("audience") or "" for each in spec.get("tokenRequests") or ()]
    return [
        name_of(obj),
        bool(spec.get("attachRequired", True)),
        bool(spec.get("podInfoOnMount")),
        bool(spec.get("storageCapacity")),
        ",".join(audiences) or "<unset>",
        bool(spec.get("requiresRepublish")),
        ",".join(spec.get("volumeLifecycleModes") or ()) or "<none>",
        age_of(obj, now),
    ]
