"""Service account tokens: signed, checked, and asked for. JWT as upstream writes it.

Source: pkg/serviceaccount/{claims,jwt}.go, registry/core/serviceaccount/storage/token.go (v1.37).
"""

import base64
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from moorage.aio.entropy import Entropy
from moorage.api.kind_rules import Lookup
from moorage.api.request import Draft, User
from moorage.objects.errors import BadRequest, Cause, conflict, invalid, not_found
from moorage.objects.metadata import Object, format_time, is_terminating, name_of, namespace_of, uid_of

#: Who signs, and whom tokens are for when nothing else is asked. Source: kubeadm's --service-account-issuer.
ISSUER = "https://kubernetes.default.svc.cluster.local"

#: How long a token lives, in seconds.
DEFAULT_SECONDS, SECONDS_LEAST, SECONDS_MOST = 3600, 600, 1 << 32

#: Who signs the tokens of Secrets, and what those claim.
LEGACY_ISSUER = "kubernetes/serviceaccount"
_CLAIM_NAMESPACE, _CLAIM_SECRET, _CLAIM_ACCOUNT, _CLAIM_UID = (
    f"kubernetes.io/serviceaccount/{field}"
    for field in ("namespace", "secret.name", "service-account.name", "service-account.uid")
)

#: How many checked tokens are remembered.
CHECKED_MOST = 1024

_CREDENTIAL = "authentication.kubernetes.io/credential-id"
_POD_NAME, _POD_UID = "authentication.kubernetes.io/pod-name", "authentication.kubernetes.io/pod-uid"
_NODE_NAME, _NODE_UID = "authentication.kubernetes.io/node-name", "authentication.kubernetes.io/node-uid"

#: Kind of a bound object -> resource id.
_BOUND = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}


class InvalidToken(Exception):
    """The token vouches for nobody; the message says why."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A token whose signature is good: its claims, and until when."""

    claims: dict[str, Any]
    expires: float


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a token vouches for, and for which of the asked audiences."""

    user: User
    audiences: tuple[str, ...]


class Tokens:
    """Signs and checks with one key pair (PEM), read when first needed: most starts sign nothing."""

    def __init__(self, private_key: Callable[[], bytes], public_key: Callable[[], bytes], entropy: Entropy) -> None:
        self._private_key = private_key
        self._public_key = public_key
        self._entropy = entropy
        self._checked: OrderedDict[str, Checked] = OrderedDict()

    def issue(self, account: Object, spec: Object, bound: Object | None, now: datetime) -> dict[str, Any]:
        """Return the status of a TokenRequest for an account: a fresh token and when it ends."""
        seconds = spec.get("expirationSeconds") or DEFAULT_SECONDS
        expires = now + timedelta(seconds=seconds)
        private: dict[str, Any] = {
            "namespace": namespace_of(account),
            "serviceaccount": {"name": name_of(account), "uid": uid_of(account)},
        }
        if bound is not None:
            private[str(bound["kind"]).lower()] = {"name": name_of(bound), "uid": uid_of(bound)}
            if bound["kind"] == "Pod" and (node := bound["spec"].get("nodeName")):
                private["node"] = {"name": node}
        claims = {
            "aud": list(spec.get("audiences") or [ISSUER]),
            "exp": int(expires.timestamp()),
            "iat": int(now.timestamp()),
            "iss": ISSUER,
            "jti": self._entropy.uid(),
            "kubernetes.io": private,
            "nbf": int(now.timestamp()),
            "sub": f"system:serviceaccount:{namespace_of(account)}:{name_of(account)}",
        }
        return {"token": self._signed(claims), "expirationTimestamp": format_time(expires)}

    def issue_for_secret(self, account: Object, secret: Object) -> str:
        """Return a token that does not end, good as long as the Secret holds it. Source: pkg/serviceaccount/legacy.go."""
        namespace, name = namespace_of(account), name_of(account)
        claims = {
            "iss": LEGACY_ISSUER,
            _CLAIM_NAMESPACE: namespace,
            _CLAIM_SECRET: name_of(secret),
            _CLAIM_ACCOUNT: name,
            _CLAIM_UID: uid_of(account),
            "sub": f"system:serviceaccount:{namespace}:{name}",
        }
        return self._signed(claims)

    def _signed(self, claims: dict[str, Any]) -> str:
        import jwt

        return jwt.encode(claims, self._private_key(), algorithm="ES256", headers={"kid": "moorage"})

    def identify(self, token: str, audiences: Sequence[str], lookup: Lookup, now: datetime) -> Identity:
        """Return whom a token vouches for. Raises InvalidToken."""
        checked = self._verified(token)
        claims = checked.claims
        if claims["iss"] == LEGACY_ISSUER:
            if audiences and ISSUER not in audiences:
                raise InvalidToken(f"token audiences [{ISSUER}] is invalid for the target audiences {list(audiences)}")
            return Identity(_user_of_secret(claims, token, lookup), (ISSUER,))
        if not claims.get("nbf", 0) - 60 <= now.timestamp() < checked.expires:
            raise InvalidToken("service account token has expired")
        asked = tuple(audiences) or (ISSUER,)
        accepted = tuple(each for each in asked if each in claims["aud"])
        if not accepted:
            raise InvalidToken(f"token audiences {claims['aud']} is invalid for the target audiences {list(asked)}")
        return Identity(_user_of(claims, lookup), accepted)

    def _verified(self, token: str) -> Checked:
        found = self._checked.get(token)
        if found is not None:
            self._checked.move_to_end(token)
            return found
        if token.count(".") != 2:
            raise InvalidToken("invalid bearer token")
        import jwt

        try:
            claims = jwt.decode(
                token,
                self._public_key(),
                algorithms=["ES256"],
                issuer=[ISSUER, LEGACY_ISSUER],
                options={"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError as error:
            raise InvalidToken(f"invalid bearer token: {error}") from error
        checked = self._checked[token] = Checked(claims, float(claims.get("exp", 0)))
        if len(self._checked) > CHECKED_MOST:
            self._checked.popitem(last=False)
        return checked

    def key_set(self) -> dict[str, Any]:
        """Return the JSON Web Key Set by which others check our tokens."""
        import jwt

        key = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256).prepare_key(self._public_key())
        facts: dict[str, Any] = jwt.algorithms.ECAlgorithm.to_jwk(key, as_dict=True)
        return {"keys": [{"use": "sig", "kid": "moorage", "alg": "ES256", **facts}]}


def discovery_document(url: str) -> dict[str, Any]:
    """Return the OpenID configuration of the issuer."""
    return {
        "issuer": ISSUER,
        "jwks_uri": f"{url}/openid/v1/jwks",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }


def _user_of(claims: dict[str, Any], lookup: Lookup) -> User:
    """Return the account that the claims name, if it and what the token is bound to are still there."""
    private = claims.get("kubernetes.io") or {}
    namespace, named = private.get("namespace", ""), private.get("serviceaccount") or {}
    account = lookup.get("serviceaccounts", namespace, named.get("name", ""))
    if account is None or uid_of(account) != named.get("uid") or is_terminating(account):
        raise InvalidToken("service account has been deleted")
    extra = {_CREDENTIAL: [f"JTI={claims.get('jti', '')}"]}
    for kind, resource in (("pod", "pods"), ("secret", "secrets"), ("node", "nodes")):
        reference = private.get(kind)
        if reference is None or "uid" not in reference:
            continue
        bound = lookup.get(resource, "" if kind == "node" else namespace, reference["name"])
        if bound is None or uid_of(bound) != reference["uid"]:
            raise InvalidToken(f"service account token is bound to a {kind} that is gone")
    if pod := private.get("pod"):
        extra |= {_POD_NAME: [pod["name"]], _POD_UID: [pod["uid"]]}
        if node := private.get("node"):
            extra[_NODE_NAME] = [node["name"]]
            if "uid" in node:
                extra[_NODE_UID] = [node["uid"]]
    name = f"system:serviceaccount:{namespace}:{named['name']}"
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    return User(name, groups, named["uid"], extra)


def _user_of_secret(claims: dict[str, Any], token: str, lookup: Lookup) -> User:
    """Return the account of a token that a Secret holds, if both are still there."""
    namespace, name = claims.get(_CLAIM_NAMESPACE, ""), claims.get(_CLAIM_ACCOUNT, "")
    secret = lookup.get("secrets", namespace, claims.get(_CLAIM_SECRET, ""))
    if secret is None or is_terminating(secret):
        raise InvalidToken("service account token has been invalidated")
    if (secret.get("data") or {}).get("token") != base64.b64encode(token.encode()).decode():
        raise InvalidToken("service account token does not match server's copy")
    account = lookup.get("serviceaccounts", namespace, name)
    if account is None or is_terminating(account):
        raise InvalidToken("service account has been deleted")
    if uid_of(account) != claims.get(_CLAIM_UID):
        raise InvalidToken("service account UID does not match claim")
    user = f"system:serviceaccount:{namespace}:{name}"
    return User(user, ("system:serviceaccounts", f"system:serviceaccounts:{namespace}"), uid_of(account))


def bound_object(spec: Object, account: Object, lookup: Lookup) -> Object | None:
    """Return the object that a token is to be bound to, None for none. Raises BadRequest, NotFound, Conflict."""
    reference = spec.get("boundObjectRef")
    if not reference:
        return None
    kind, name = reference.get("kind", ""), reference.get("name", "")
    resource = _BOUND.get(kind)
    if resource is None or reference.get("apiVersion") not in ("v1", "", None):
        group, _, version = str(reference.get("apiVersion") or "").rpartition("/")
        raise BadRequest(f"cannot bind token to object of type {group}/{version}, Kind={kind}")
    found = lookup.get(resource, "" if kind == "Node" else namespace_of(account), name)
    if found is None:
        raise not_found(resource, "", name)
    if kind == "Pod" and found["spec"].get("serviceAccountName", "") != name_of(account):
        text = f'cannot bind token for serviceaccount "{name_of(account)}" to pod running with different serviceaccount'
        raise BadRequest(f"{text} name.")
    wanted = reference.get("uid")
    if wanted and wanted != uid_of(found):
        raise conflict(
            kind,
            "",
            name,
            f"the UID in the bound object reference ({wanted}) does not match the UID in record. "
            "The object might have been deleted and then recreated",
        )
    return {**found, "kind": kind}


def check_request(draft: Draft, account: Object) -> None:
    """Refuse a TokenRequest about another account, or with a lifetime that cannot be.

    Raises BadRequest, Invalid, Conflict.
    """
    metadata, spec = draft.get("metadata") or {}, draft.get("spec") or {}
    name, namespace, uid = (metadata.get(field) or "" for field in ("name", "namespace", "uid"))
    if namespace and namespace != namespace_of(account):
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    if name and name != name_of(account):
        text = f'Invalid value: "{name}": must match the service account name if specified'
        raise _invalid_request(name_of(account), Cause("FieldValueInvalid", text, "metadata.name"))
    if uid and uid != uid_of(account):
        theirs = f"the UID in the token request ({uid})"
        text = f"{theirs} does not match the UID of the service account ({uid_of(account)})"
        raise conflict("TokenRequest", "authentication.k8s.io", name_of(account), text)
    seconds = spec.get("expirationSeconds")
    if seconds is None:
        return
    text = ""
    if seconds < SECONDS_LEAST:
        text = f"Invalid value: {seconds}: may not specify a duration less than 10 minutes"
    elif seconds > SECONDS_MOST:
        text = f"Invalid value: {seconds}: may not specify a duration larger than 2^32 seconds"
    if text:
        raise _invalid_request("", Cause("FieldValueInvalid", text, "spec.expirationSeconds"))


def _invalid_request(name: str, cause: Cause) -> Exception:
    return invalid("TokenRequest", "authentication.k8s.io", name, [cause])
