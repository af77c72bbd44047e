"""Policies whose expressions cannot be used are refused in upstream's words."""

from typing import Any

import pytest

from moorage.api.kinds import mutatingadmissionpolicy, validatingadmissionpolicy

MATCH = {
    "matchPolicy": "Equivalent",
    "namespaceSelector": {},
    "objectSelector": {},
    "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
}


def told(kind: Any, name: str = "p", **spec: Any) -> list[str]:
    policy = {"metadata": {"name": name}, "spec": {"failurePolicy": "Fail", "matchConstraints": MATCH, **spec}}
    return [str(cause) for cause in kind.validate(policy, None)]


@pytest.mark.parametrize(
    ("validation", "cause"),
    [
        ({"expression": "object.a"}, 'expression: Invalid value: "object.a": must evaluate to bool but got dyn'),
        ({"expression": "variables.a"}, "undeclared reference to 'variables' (in container '')"),
        ({"expression": "true", "messageExpression": "authorizer"}, "undeclared reference to 'authorizer'"),
        ({"expression": "Object{} == null"}, "undeclared reference to 'Object' (in container '')"),
        ({"expression": "authorizer.requestResource.check('get').allowed()"}, ""),
        ({"expression": "request.userInfo.groups.exists(g, g == 'a') && namespaceObject.metadata.name != ''"}, ""),
        ({"expression": "request.nope == 1"}, "undefined field 'nope'"),
        ({"expression": "request.kind == 1"}, "applied to '(kubernetes.GroupVersionKind, int)'"),
    ],
)
def test_a_validation_names_what_it_may(validation: dict[str, Any], cause: str) -> None:
    causes = told(validatingadmissionpolicy, validations=[validation])
    assert not causes if not cause else cause in causes[0]


@pytest.mark.parametrize(
    ("kind", "expression", "cause"),
    [
        ("ApplyConfiguration", "object", "must evaluate to Object but got dyn"),
        ("ApplyConfiguration", "Object.spec{}", "must evaluate to Object but got Object.spec"),
        ("ApplyConfiguration", "has(variables.n) ? Object{} : Object{spec: Object.spec{}}", ""),
        ("JSONPatch", "[]", "must evaluate to list(JSONPatch) but got list(dyn)"),
        ("JSONPatch", "[JSONPatch{op: 'add', path: '/' + jsonpatch.escapeKey('a/b'), value: {'a': variables.n}}]", ""),
        ("JSONPatch", "has(object.a) ? [] : [JSONPatch{op: 'remove', path: '/a'}]", ""),
        ("JSONPatch", "[] + (has(object.a) ? [JSONPatch{op: 'remove', path: '/a'}] : [])", ""),
        ("JSONPatch", "[JSONPatch{op: 1}]", "expected type of field 'op' is 'string' but provided type is 'int'"),
    ],
)
def test_a_mutation_makes_what_its_type_says(kind: str, expression: str, cause: str) -> None:
    field = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}[kind]
    mutation = {"patchType": kind, field: {"expression": expression}}
    variables = [{"name": "n", "expression": "1"}]
    causes = told(mutatingadmissionpolicy, mutations=[mutation], variables=variables, reinvocationPolicy="Never")
    assert not causes if not cause else cause in causes[0]


def test_names_of_static_configurations_are_not_free() -> None:
    (cause,) = told(validatingadmissionpolicy, "a.static.k8s.io", validations=[{"expression": "true"}])
    assert cause.startswith('metadata.name: Invalid value: "a.static.k8s.io": names ending with ".static.k8s.io" are')
