"""The values that expressions of a policy see: the objects of a write, its request, parameters, who may what.

Source: apiserver/pkg/admission/plugin/cel/activation.go (v1.37).
"""

from collections.abc import Mapping
from typing import Any

from moorage.api.admission.policies.calls import Call, shown_namespace
from moorage.api.admission.webhooks.reviews import as_version
from moorage.api.authorization import Revisions, rbac_over
from moorage.api.kind_rules import Lookup
from moorage.api.request import User
from moorage.objects.attributes import Attributes
from moorage.objects.cel.authorizers import Authorizer, Check
from moorage.objects.kinds import Resource
from moorage.objects.metadata import Object


def authorizer_for(lookup: Revisions, user: User) -> Authorizer:
    """Return the authorizer that answers for a user."""
    rbac = rbac_over(lookup)

    def ask(subject: User, query: Attributes) -> tuple[bool, str]:
        verdict = rbac.judge(subject, query)
        return verdict.allowed, verdict.reason

    return Authorizer(ask, user, _service_account)


def _service_account(namespace: str, name: str) -> User:
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return User(f"system:serviceaccount:{namespace}:{name}", groups)


def variables_of(call: Call, matched: Resource, param: Object | None, authorizer: Authorizer) -> Mapping[str, Any]:
    """Return the variables that do not depend on where an expression stands. matched: as what a rule took the call."""
    resource = call.resource
    query = Attributes(
        "", resource.group, resource.version, resource.plural, call.subresource, call.namespace, call.name
    )
    return {
        "object": as_version(call.obj, call, matched),
        "oldObject": as_version(call.old, call, matched),
        "request": call.request(matched),
        "namespaceObject": None,
        "params": param,
        "authorizer": authorizer,
        "authorizer.requestResource": Check(authorizer, query, "resource"),
    }


def namespace_of_call(call: Call, lookup: Lookup) -> Object | None:
    """Return what expressions see as `namespaceObject`, None for what is in no namespace."""
    if not call.namespace or call.resource.id == "namespaces":
        return None
    return shown_namespace(lookup.get("namespaces", "", call.namespace))
