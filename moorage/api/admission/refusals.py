"""How admission refuses: 403 with the resource and the name of what was refused.

Source: apiserver/pkg/admission/errors.go (v1.37).
"""

from moorage.api.request import Request
from moorage.objects.errors import Forbidden, forbidden
from moorage.objects.metadata import Object, metadata_of


def refused(obj: Object, request: Request, why: str) -> Forbidden:
    """Return the error of a plugin that refuses the write, with the plugin's reason."""
    metadata = metadata_of(obj)
    name = metadata.get("name") or request.name or metadata.get("generateName") or "Unknown"
    return forbidden(request.resource.plural, request.resource.group, name, why)
