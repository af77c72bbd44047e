"""What every answer about a deprecated version of a resource warns of.

Source: APILifecycleDeprecated and APILifecycleReplacement of k8s.io/api types, endpoints/installer.go (v1.37).
"""

from collections.abc import Mapping
from typing import Final

from moorage.objects.kinds import Resource

_BUILT_IN: Final[Mapping[str, str]] = {
    "endpoints": "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    "componentstatuses": "v1 ComponentStatus is deprecated in v1.19+",
}


def deprecation_of(resource: Resource) -> str:
    """Return the warning, "" for what is not deprecated. Custom resources have it in `behaviour["deprecationWarning"]`."""
    if resource.custom:
        return str(resource.behaviour.get("deprecationWarning") or "")
    return "" if resource.group else _BUILT_IN.get(resource.plural, "")
