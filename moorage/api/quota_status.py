"""What quotas say is used, after a write that used more: who was answered sees it in `status.used`.

Upstream's admission writes it before the object; here admission counts the objects themselves
(moorage.api.admission.resource_quota), so it is written after them, and what frees something is left to the controller.
Source: apiserver/pkg/admission/plugin/resourcequota/controller.go (v1.37).
"""

from typing import TYPE_CHECKING, Final

from moorage.objects.errors import Conflict
from moorage.objects.kinds import Resource, builtin
from moorage.objects.usage import quota_usage, resources_counted

if TYPE_CHECKING:
    from moorage.api.pipeline import Tools
    from moorage.objects.metadata import Object

QUOTAS: Final = "resourcequotas"


async def tell_quotas(tools: "Tools", resource: Resource, namespace: str) -> None:
    """Bring the namespace's quotas up to date that count the resource and were counted once by their controller."""
    if not namespace:
        return
    for quota in tools.lookup.list(QUOTAS, namespace):
        found = tools.storage.find(builtin(QUOTAS), namespace, quota["metadata"]["name"])
        changed = None if found is None else _counted(tools, found.object, resource)
        if found is None or changed is None:
            continue
        try:
            await tools.storage.update(builtin(QUOTAS), changed, found)
        except Conflict:
            continue  # somebody counted meanwhile; the controller sees to the rest


def _counted(tools: "Tools", quota: "Object", resource: Resource) -> dict[str, object] | None:
    """Return the quota with what is used now, None if it says so already or is not counted yet."""
    hard = (quota.get("spec") or {}).get("hard") or {}
    status = quota.get("status") or {}
    used = status.get("used") or {}
    names = [name for name in resources_counted(hard, (resource.id,)).get(resource.id, ()) if name in used]
    if not names:
        return None
    objects = tools.lookup.list(resource.id, quota["metadata"]["namespace"])
    now = {**used, **quota_usage(quota, names, {resource.id: objects})}
    return None if now == used else {**quota, "status": {**status, "used": now}}
