"""The seam through which webhooks are called, and whom a configuration names.

Source: apiserver/pkg/util/webhook/client.go (v1.37).
"""

import base64
import binascii
import posixpath
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import quote, urlsplit

_HTTPS: Final = 443


class CallFailed(Exception):
    """Nobody answered, or not in a way that can be read; the text is what Kubernetes says of it."""


class ServiceReference(NamedTuple):
    """A port of a Service."""

    namespace: str
    name: str
    port: int


class Endpoint(NamedTuple):
    """Where a webhook is.

    host, port: as they stand in its URL, or the name that a service's certificate must have.
    path:       starts with a slash.
    authority:  PEM of whom to trust; b"": whom the machine trusts.
    service:    None for a webhook with a URL.
    """

    host: str
    port: int
    path: str
    authority: bytes
    service: ServiceReference | None = None
    shown_host: str = ""

    def url(self, query: str = "") -> str:
        """Return the URL of a call, as errors tell it."""
        return f"https://{self.shown_host}{quote(self.path)}{'?' if query else ''}{query}"


class WebhookCaller(Protocol):
    """Calls webhooks."""

    async def post(self, endpoint: Endpoint, query: str, body: bytes, seconds: float) -> bytes:
        """Return the JSON that a webhook answers to a JSON body. Raises CallFailed, also after `seconds`."""


def endpoint_of(client: Mapping[str, Any]) -> Endpoint:
    """Return whom a clientConfig names. Raises CallFailed for one that cannot be used."""
    authority = _bundle(client.get("caBundle") or "")
    service = client.get("service")
    if service is None:
        return _endpoint_of_url(client.get("url") or "", authority)
    reference = ServiceReference(service["namespace"], service["name"], service.get("port") or _HTTPS)
    host = f"{reference.name}.{reference.namespace}.svc"
    path = _joined(service.get("path") or "")
    return Endpoint(host, reference.port, path, authority, reference, f"{host}:{reference.port}")


def _endpoint_of_url(url: str, authority: bytes) -> Endpoint:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _HTTPS
    except ValueError as error:
        raise CallFailed(f"Unparsable URL: {error}") from None
    return Endpoint(host, port, _joined(parts.path), authority, None, parts.netloc)


def _joined(path: str) -> str:
    """Return a path as Go joins it to a slash: clean, without one at its end."""
    return posixpath.normpath("/" + path.lstrip("/"))


def _bundle(text: str) -> bytes:
    try:
        return base64.b64decode(text).strip()
    except binascii.Error:
        return b""
