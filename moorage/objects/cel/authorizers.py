"""The authorizer of admission expressions: `authorizer.group('apps').resource('deployments').check('get').allowed()`.

Who may what is asked of `Ask`; here is only how an expression puts the question together.
Source: apiserver/pkg/cel/library/authz.go (v1.37).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from moorage.objects.attributes import Attributes
from moorage.objects.cel.values import EvaluationError
from moorage.objects.validation import dns1123_label_problems, dns1123_subdomain_problems

#: Tells whether a user may, and why.
Ask = Callable[[Any, Attributes], tuple[bool, str]]


@dataclass(frozen=True, slots=True)
class Authorizer:
    """Who is asked for: the user of the request, or a service account. `as_account` makes a user of one."""

    ask: Ask
    user: Any
    as_account: Callable[[str, str], Any]


@dataclass(frozen=True, slots=True)
class Check:
    """A question that still lacks its verb. kind: path, group or resource."""

    authorizer: Authorizer
    query: Attributes
    kind: str

    def with_(self, **changes: str) -> "Check":
        """Return the question with more said."""
        return replace(self, query=self.query._replace(**changes))


@dataclass(frozen=True, slots=True)
class Ruling:
    """The answer to a question."""

    allowed: bool
    reason: str


def _path(authorizer: Authorizer, path: str) -> Check:
    if not path:
        raise EvaluationError("path must not be empty")
    return Check(authorizer, Attributes("", path=path), "path")


def _service_account(authorizer: Authorizer, namespace: str, name: str) -> Authorizer:
    if dns1123_subdomain_problems(name):
        raise EvaluationError("Invalid service account name")
    if dns1123_label_problems(namespace):
        raise EvaluationError("Invalid service account namespace")
    return replace(authorizer, user=authorizer.as_account(namespace, name))


def _resource(check: Check, resource: str) -> Check:
    if not resource:
        raise EvaluationError("resource must not be empty")
    return replace(check.with_(version="*", resource=resource), kind="resource")


def _check(check: Check, verb: str) -> Ruling:
    return Ruling(*check.authorizer.ask(check.authorizer.user, check.query._replace(verb=verb)))


#: name -> what it does; a method's receiver is its first argument. Selectors narrow nothing: RBAC does not know them.
AUTHORIZATION: Final[Mapping[str, Callable[..., Any]]] = {
    "path": _path,
    "group": lambda it, group: Check(it, Attributes("", group=group), "group"),
    "serviceAccount": _service_account,
    "resource": _resource,
    "subresource": lambda it, subresource: it.with_(subresource=subresource),
    "namespace": lambda it, namespace: it.with_(namespace=namespace),
    "name": lambda it, name: it.with_(name=name),
    "fieldSelector": lambda it, _: it.with_(),
    "labelSelector": lambda it, _: it.with_(),
    "check": _check,
    "allowed": lambda ruling: ruling.allowed,
    "reason": lambda ruling: ruling.reason,
    "errored": lambda _: False,
    "error": lambda _: "",
}
