"""Who asks: client certificates, service account tokens, static tokens, nobody.

Source: the page "Authenticating"; apiserver/pkg/authentication (v1.37).
"""

from collections.abc import Mapping
from typing import NamedTuple

from moorage.aio.clock import Clock
from moorage.api.kind_rules import Lookup
from moorage.api.request import User
from moorage.api.tokens import InvalidToken, Tokens
from moorage.objects.errors import Unauthorized

ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))
AUTHENTICATED = "system:authenticated"


class Certificate(NamedTuple):
    """The subject of a client certificate that the TLS layer has verified."""

    common_name: str
    organizations: tuple[str, ...] = ()


class Credentials(NamedTuple):
    """What vouches for the caller: a bearer token ("" if none) and a verified client certificate."""

    token: str = ""
    certificate: Certificate | None = None


class Authenticator:
    """Finds out who asks. `static` maps tokens that were given at the start to users."""

    def __init__(self, tokens: Tokens, lookup: Lookup, clock: Clock, static: Mapping[str, User] | None = None) -> None:
        self._tokens = tokens
        self._lookup = lookup
        self._clock = clock
        self._static = static or {}

    async def authenticate(self, credentials: Credentials) -> User:
        """Return the caller; without credentials `system:anonymous`. Raises Unauthorized."""
        certificate, token = credentials.certificate, credentials.token
        if certificate is not None:
            return User(certificate.common_name, (*certificate.organizations, AUTHENTICATED))
        if not token:
            return ANONYMOUS
        user = self._static.get(token)
        if user is None:
            try:
                user = self._tokens.identify(token, (), self._lookup, self._clock.now()).user
            except InvalidToken as error:
                raise Unauthorized("Unauthorized") from error
        return User(user.name, (*user.groups, AUTHENTICATED), user.uid, user.extra)
