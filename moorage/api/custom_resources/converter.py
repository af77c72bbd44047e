"""Converts custom resources by the webhooks that their definitions name, many at a time.

Differs from Kubernetes: objects are converted when they are first read, many in one review, where upstream's watch caches
ask for each of them; managedFields keep the paths of the version they were made in.
Source: apiextensions-apiserver/pkg/apiserver/conversion/webhook_converter.go (v1.37).
"""

from collections.abc import Sequence
from typing import Any, Final

from moorage.aio.entropy import Entropy
from moorage.api.admission.webhooks.caller import CallFailed, WebhookCaller, endpoint_of
from moorage.api.custom_resources.conversion_reviews import (
    Conversion,
    Unconverted,
    converted_objects,
    review_of,
    review_version,
)
from moorage.objects.errors import PlainError
from moorage.objects.go_values import shown_kind
from moorage.objects.metadata import Object

#: How many objects one review asks for.
OBJECTS_MOST: Final = 500

#: How long a webhook may take. Upstream waits for as long as the request of the client may take.
SECONDS: Final = 30.0


class Converter:
    """Asks conversion webhooks. Without a caller every conversion fails."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self.caller: WebhookCaller | None = None

    async def converted(
        self, conversion: Conversion, objects: Sequence[Object], api_version: str
    ) -> list[dict[str, Any]]:
        """Return objects of one kind in another version. Raises PlainError."""
        made: list[dict[str, Any]] = []
        for start in range(0, len(objects), OBJECTS_MOST):
            try:
                made += await self._asked(conversion, objects[start : start + OBJECTS_MOST], api_version)
            except Unconverted as error:
                raise PlainError(str(error)) from None
        return made

    async def _asked(self, conversion: Conversion, objects: Sequence[Object], api_version: str) -> list[dict[str, Any]]:
        version, uid = review_version(conversion.versions), self._entropy.uid()
        body = review_of(objects, api_version, version, uid)
        if self.caller is None:
            raise Unconverted(
                f"conversion webhook for {shown_kind(objects[0])} failed: nobody calls it from this process"
            )
        try:
            answer = await self.caller.post(endpoint_of(conversion.client), "", body, SECONDS)
        except CallFailed as error:
            raise Unconverted(f"conversion webhook for {shown_kind(objects[0])} failed: {error}") from None
        return converted_objects(answer, objects, api_version, version, uid)
