"""Questions that are asked by creating an object: may I, who am I, whose token is this, give me a token.

Nothing is stored; the answer is the object with its status. Source: registry/authorization, registry/authentication,
pkg/apis/authorization/validation (v1.37).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from moorage.aio.clock import Clock
from moorage.api.admission import namespace_lifecycle
from moorage.api.answers import Answer
from moorage.api.authentication import AUTHENTICATED
from moorage.api.authorization import SUPERUSERS, Rbac
from moorage.api.pipeline import Tools, decoded, found, kind_of
from moorage.api.request import Draft, Request, User
from moorage.api.subresources import Creation
from moorage.api.tokens import DEFAULT_SECONDS, ISSUER, Identity, InvalidToken, Tokens, bound_object, check_request
from moorage.objects.attributes import Attributes
from moorage.objects.errors import BadRequest, Cause, invalid
from moorage.objects.kinds import find_resource
from moorage.objects.metadata import format_time, name_of, namespace_of, uid_of

_AUTHORIZATION = "authorization.k8s.io"
_INVALID, _REQUIRED = "FieldValueInvalid", "FieldValueRequired"


@dataclass(frozen=True, slots=True)
class Reviews:
    """Answers reviews from the cluster's own authorizer and tokens. known: whom tokens that are no JWT vouch for."""

    rbac: Rbac
    tokens: Tokens
    clock: Clock
    known: Mapping[str, User] = field(default_factory=dict)

    def creations(self) -> Mapping[tuple[str, str], Creation]:
        """Return what a POST to each review does (see Api.creations)."""
        return {
            ("selfsubjectaccessreviews.authorization.k8s.io", ""): self.own_access,
            ("subjectaccessreviews.authorization.k8s.io", ""): self.access,
            ("localsubjectaccessreviews.authorization.k8s.io", ""): self.local_access,
            ("selfsubjectrulesreviews.authorization.k8s.io", ""): self.own_rules,
            ("selfsubjectreviews.authentication.k8s.io", ""): self.oneself,
            ("tokenreviews.authentication.k8s.io", ""): self.token,
            ("serviceaccounts", "token"): self.token_request,
        }

    async def own_access(self, _: Tools, request: Request, draft: Draft) -> Answer:
        """Tell whether the caller may do something."""
        draft = decoded(kind_of(request.resource), request, draft, request.raw)
        _check_access(draft["spec"], local=False)
        return self._judged(draft, request.user)

    async def access(self, _: Tools, request: Request, draft: Draft) -> Answer:
        """Tell whether somebody may do something."""
        draft = decoded(kind_of(request.resource), request, draft, request.raw)
        spec = draft["spec"]
        _check_access(spec, local=False, of_others=True)
        return self._judged(draft, _subject_of(spec))

    async def local_access(self, _: Tools, request: Request, draft: Draft) -> Answer:
        """Tell whether somebody may do something in one namespace."""
        draft = decoded(kind_of(request.resource), request, draft, request.raw)
        spec = draft["spec"]
        _check_access(spec, local=True, of_others=True)
        asked = (spec.get("resourceAttributes") or {}).get("namespace") or ""
        if asked != request.namespace:
            text = "spec.resourceAttributes.namespace must match namespace: "
            raise BadRequest(f"{text}{asked} != {request.namespace}")
        draft["metadata"] = {**draft["metadata"], "namespace": request.namespace}
        return self._judged(draft, _subject_of(spec))

    async def own_rules(self, _: Tools, request: Request, draft: Draft) -> Answer:
        """Tell everything that the caller may do in a namespace."""
        namespace = (draft.get("spec") or {}).get("namespace") or ""
        if not namespace:
            raise BadRequest("no namespace on request")
        rules: list[Any] = []
        if SUPERUSERS in request.user.groups:
            rules = [
                {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
                {"verbs": ["*"], "nonResourceURLs": ["*"]},
            ]
        for grant in self.rbac.grants(request.user, namespace):
            rules += grant.rules
        status = {
            "resourceRules": [_resource_rule(each) for each in rules if each.get("resources")],
            "nonResourceRules": [
                {"verbs": each["verbs"], "nonResourceURLs": each["nonResourceURLs"]}
                for each in rules
                if each.get("nonResourceURLs")
            ],
            "incomplete": False,
        }
        return _answer(request, {**draft, "spec": {}, "status": status})

    async def oneself(self, _: Tools, request: Request, draft: Draft) -> Answer:
        """Tell who the caller is."""
        metadata = {"creationTimestamp": format_time(request.now)}
        return _answer(request, {**draft, "metadata": metadata, "status": {"userInfo": _user_info(request.user)}})

    async def token(self, tools: Tools, request: Request, draft: Draft) -> Answer:
        """Tell whom a token vouches for."""
        spec = draft.get("spec") or {}
        if not spec.get("token"):
            raise BadRequest("token is required for TokenReview in authentication")
        try:
            identity = self._identity(spec["token"], spec.get("audiences") or (), tools)
        except InvalidToken as error:
            return _answer(request, {**draft, "status": {"user": {}, "error": str(error)}})
        user = identity.user
        user = User(user.name, (*user.groups, AUTHENTICATED), user.uid, user.extra)
        status = {"authenticated": True, "user": _user_info(user), "audiences": list(identity.audiences)}
        return _answer(request, {**draft, "status": status})

    def _identity(self, token: str, audiences: Sequence[str], tools: Tools) -> Identity:
        """Return whom a token vouches for: one that is known by heart says nothing of audiences, and is for ours."""
        known = self.known.get(token)
        if known is not None and ISSUER in (audiences or (ISSUER,)):
            return Identity(known, (ISSUER,))
        return self.tokens.identify(token, audiences, tools.lookup, self.clock.now())

    async def token_request(self, tools: Tools, request: Request, draft: Draft) -> Answer:
        """Give a token for a service account."""
        namespace_lifecycle.mutate(draft, None, request, tools.lookup)  # asked before the account is looked for
        account = found(tools, request).object
        resource = find_resource("authentication.k8s.io", "v1", "tokenrequests")
        draft = draft if resource is None else decoded(kind_of(resource), request, draft, request.raw)
        await tools.admission.ask(draft, None, request, tools.lookup)
        check_request(draft, account)
        spec = {
            "audiences": [ISSUER],
            "expirationSeconds": DEFAULT_SECONDS,
            "boundObjectRef": None,
            **(draft.get("spec") or {}),
        }
        bound = bound_object(spec, account, tools.lookup)
        status = self.tokens.issue(account, spec, bound, request.now)
        metadata = {
            "name": name_of(account),
            "namespace": namespace_of(account),
            "uid": uid_of(account),
            "creationTimestamp": format_time(request.now),
        }
        answer = {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": metadata,
            "spec": spec,
            "status": status,
        }
        return Answer(201, answer)

    def _judged(self, draft: Draft, user: User) -> Answer:
        verdict = self.rbac.judge(user, _attributes_of(draft["spec"]))
        status: dict[str, Any] = {"allowed": verdict.allowed}
        if verdict.reason:
            status["reason"] = verdict.reason
        return Answer(201, {**draft, "status": status})


def _answer(request: Request, draft: Draft) -> Answer:
    kind = {"kind": request.resource.kind, "apiVersion": request.resource.api_version}
    return Answer(201, {**kind, "metadata": draft.get("metadata") or {}, **draft, **kind})


def _attributes_of(spec: Mapping[str, Any]) -> Attributes:
    if path := spec.get("nonResourceAttributes"):
        return Attributes(path.get("verb", ""), path=path.get("path", ""))
    asked = spec.get("resourceAttributes") or {}
    return Attributes(
        asked.get("verb", ""),
        asked.get("group", ""),
        asked.get("version", ""),
        asked.get("resource", ""),
        asked.get("subresource", ""),
        asked.get("namespace", ""),
        asked.get("name", ""),
    )


def _subject_of(spec: Mapping[str, Any]) -> User:
    return User(spec.get("user") or "", tuple(spec.get("groups") or ()), spec.get("uid") or "", spec.get("extra") or {})


def _user_info(user: User) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "username": user.name,
        "uid": user.uid,
        "groups": list(user.groups),
        "extra": {key: list(values) for key, values in user.extra.items()},
    }
    return {key: value for key, value in facts.items() if value}


def _resource_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {key: rule[key] for key in ("verbs", "apiGroups", "resources", "resourceNames") if rule.get(key)}


def _check_access(spec: Mapping[str, Any], *, local: bool, of_others: bool = False) -> None:
    """Refuse a question that is none, or two, or about nobody (`of_others`: it names who it is about). Raises Invalid."""
    path, asked = spec.get("nonResourceAttributes"), spec.get("resourceAttributes")
    causes: list[Cause] = []
    if local and path is not None:
        causes.append(
            Cause(
                _INVALID,
                f"Invalid value: {_go(path)}: disallowed on this kind of request",
                "spec.nonResourceAttributes",
            )
        )
    elif (path is None) == (asked is None):
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        causes.append(Cause(_INVALID, f"Invalid value: {_go(path)}: {why}", "spec"))
    if of_others and not spec.get("user") and not spec.get("groups"):
        text = 'Invalid value: "": at least one of user or group must be specified'
        causes.append(Cause(_INVALID, text, "spec.user"))
    for kind in ("fieldSelector", "labelSelector"):
        causes += _selector_causes((asked or {}).get(kind), f"spec.resourceAttributes.{kind}")
    if causes:
        raise invalid("", _AUTHORIZATION, "", causes)


def _go(path: Mapping[str, Any] | None) -> str:
    if path is None:
        return "null"
    return orjson.dumps({"Path": path.get("path", ""), "Verb": path.get("verb", "")}).decode()


def _selector_causes(selector: Mapping[str, Any] | None, path: str) -> list[Cause]:
    if selector is None:
        return []
    raw = selector.get("rawSelector") or ""
    requirements: Sequence[Mapping[str, Any]] = selector.get("requirements") or ()
    causes: list[Cause] = []
    if raw and requirements:
        shown = orjson.dumps(raw).decode()
        text = f"Invalid value: {shown}: may not specified at the same time as requirements"
        causes.append(Cause(_INVALID, text, f"{path}.rawSelector"))
    if not raw and not requirements:
        text = f"Required value: when {path} is specified, requirements or rawSelector is required"
        causes.append(Cause(_REQUIRED, text, f"{path}.requirements"))
    for index, each in enumerate(requirements):
        where = f"{path}.requirements[{index}]"
        if not each.get("key"):
            causes.append(Cause(_REQUIRED, "Required value: must be specified", f"{where}.key"))
        operator, values = each.get("operator"), each.get("values") or ()
        if operator in ("In", "NotIn") and not values:
            causes.append(
                Cause(
                    _REQUIRED, "Required value: must be specified when `operator` is 'In' or 'NotIn'", f"{where}.values"
                )
            )
        if operator in ("Exists", "DoesNotExist") and values:
            causes.append(
                Cause(
                    "FieldValueForbidden",
                    "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                    f"{where}.values",
                )
            )
    return causes
