"""Who asks, and as whom: credentials and impersonation as they come with a request; the Protocols that judge them.

Source: apiserver/pkg/authentication/request/{bearertoken,websocket,x509}, pkg/endpoints/filters/impersonation (v1.37).
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import unquote

from moorage.api.authentication import Certificate, Credentials
from moorage.api.request import User
from moorage.objects.attributes import Attributes
from moorage.objects.errors import BadRequest, Forbidden

if TYPE_CHECKING:
    from moorage.server.requests import HttpHeaders

ANONYMOUS: Final = "system:anonymous"
AUTHENTICATED: Final = "system:authenticated"
UNAUTHENTICATED: Final = "system:unauthenticated"
_SERVICE_ACCOUNT: Final = "system:serviceaccount:"
_EXTRA: Final = "impersonate-extra-"

#: How a browser's WebSocket carries a bearer token: as a protocol that it offers.
_SOCKET_BEARER: Final = "base64url.bearer.authorization.k8s.io."


class Authenticator(Protocol):
    """Finds out who asks (moorage.api.authentication)."""

    async def authenticate(self, credentials: Credentials) -> User:
        """Return the caller; without credentials `system:anonymous`. Raises Unauthorized."""


class Authorizer(Protocol):
    """Decides who may do what (moorage.api.authorization)."""

    async def authorize(self, user: User, attributes: Attributes) -> None:
        """Return if the user may. Raises Forbidden."""


def credentials_of(headers: "HttpHeaders", certificate: Certificate | None) -> Credentials:
    """Return the credentials of a request."""
    authorization = headers.get("Authorization")
    if authorization is not None:
        scheme, _, token = authorization.strip().partition(" ")
        return Credentials(token.strip() if scheme.lower() == "bearer" else "", certificate)
    if "Sec-WebSocket-Protocol" in headers:
        return Credentials(_socket_token(headers["Sec-WebSocket-Protocol"]), certificate)
    return Credentials("", certificate)


def _socket_token(protocols: str) -> str:
    for protocol in protocols.split(","):
        encoded = protocol.strip()
        if encoded.startswith(_SOCKET_BEARER):
            text = encoded.removeprefix(_SOCKET_BEARER)
            try:
                return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
            except (binascii.Error, UnicodeDecodeError):
                return ""
    return ""


def certificate_of(peer: Mapping[str, Any] | None) -> Certificate | None:
    """Return the subject of what `ssl` calls a peer certificate, None if there is none."""
    if not peer:
        return None
    common_name, organizations = "", []
    for relative in peer.get("subject", ()):
        for name, value in relative:
            if name == "commonName":
                common_name = value
            elif name == "organizationName":
                organizations.append(value)
    return Certificate(common_name, tuple(organizations)) if common_name else None


def impersonated(headers: "HttpHeaders") -> User | None:
    """Return as whom the caller wants to act, None if as itself. Raises BadRequest when a user name is missing."""
    name = headers.get("Impersonate-User", "")
    groups = tuple(headers.getall("Impersonate-Group", ()))
    uid = headers.get("Impersonate-Uid", "")
    extra: dict[str, list[str]] = {}
    for header, value in headers.items():
        if header.lower().startswith(_EXTRA):
            extra.setdefault(unquote(header[len(_EXTRA) :].lower()), []).append(value)
    if name:
        return User(name, groups, uid, extra)
    if not groups and not uid and not extra:
        return None
    raise BadRequest(f"requested {_shown(groups, uid, extra)} without impersonating a user name")


def _shown(groups: Sequence[str], uid: str, extra: Mapping[str, Sequence[str]]) -> str:
    """Show a user without a name as Go prints the value."""
    listed = f"[]string{{{', '.join(_quoted(group) for group in groups)}}}" if groups else "[]string(nil)"
    pairs = ", ".join(f"{_quoted(key)}:[]string{{{', '.join(map(_quoted, extra[key]))}}}" for key in sorted(extra))
    mapped = f"map[string][]string{{{pairs}}}" if extra else "map[string][]string(nil)"
    return f'&user.DefaultInfo{{Name:"", UID:{_quoted(uid)}, Groups:{listed}, Extra:{mapped}}}'


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


async def impersonate(user: User, wanted: User, authorizer: Authorizer, asked: Attributes) -> User:
    """Return the user that the caller acts as from now on. Raises Forbidden unless it may be all that it wants to be."""
    try:
        for attributes in _needed(wanted):
            await authorizer.authorize(user, attributes)
    except Forbidden:
        # The refusal speaks of the narrower permission that upstream looks for first.
        await authorizer.authorize(user, asked._replace(verb=f"impersonate-on:{_mode(wanted.name)}:{asked.verb}"))
        raise
    return User(wanted.name, _all_groups(wanted), wanted.uid, wanted.extra)


def _mode(name: str) -> str:
    if name.startswith(_SERVICE_ACCOUNT):
        return "serviceaccount"
    return "arbitrary-node" if name.startswith("system:node:") else "user-info"


def _needed(wanted: User) -> list[Attributes]:
    """Return everything that the caller must be allowed to impersonate."""
    account = wanted.name.removeprefix(_SERVICE_ACCOUNT).split(":") if wanted.name.startswith(_SERVICE_ACCOUNT) else []
    needed = [Attributes("impersonate", resource="users", name=wanted.name)]
    if len(account) == 2:
        needed = [Attributes("impersonate", resource="serviceaccounts", namespace=account[0], name=account[1])]
    needed += [Attributes("impersonate", resource="groups", name=group) for group in wanted.groups]
    group = "authentication.k8s.io"
    if wanted.uid:
        needed.append(Attributes("impersonate", group, "v1", "uids", name=wanted.uid))
    for key, values in wanted.extra.items():
        needed += [Attributes("impersonate", group, "v1", "userextras", key, name=value) for value in values]
    return needed


def _all_groups(wanted: User) -> tuple[str, ...]:
    """Return the groups of the new user: those of its kind, and that it is authenticated."""
    groups = list(wanted.groups)
    account = wanted.name.removeprefix(_SERVICE_ACCOUNT).split(":")
    if not groups and wanted.name.startswith(_SERVICE_ACCOUNT) and len(account) == 2:
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{account[0]}"]
    last = UNAUTHENTICATED if wanted.name == ANONYMOUS else AUTHENTICATED
    return tuple(groups) if AUTHENTICATED in groups or UNAUTHENTICATED in groups else (*groups, last)
