"""Admission policies at work on writes: what they refuse, warn of, change and leave alone."""

from datetime import UTC, datetime
from typing import Any

import pytest

from moorage.api.admission.policies.stage import Policies
from moorage.api.admission.reinvocation import Reinvocation
from moorage.api.request import Request, User
from moorage.objects.errors import StatusError
from moorage.objects.kinds import builtin, resources_in
from tests.api.objects_at_hand import ObjectsAtHand

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GROUP = "admissionregistration.k8s.io"
RULES = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps", "pods"]}]
JANE = User("jane", ("dev",))


class Cluster:
    """Objects, and the policies that see a write to them."""

    def __init__(self) -> None:
        self.objects = ObjectsAtHand()
        self.objects.put("namespaces", {"metadata": {"name": "n", "labels": {"env": "prod"}}})
        self.policies = Policies()
        self.warnings: list[str] = []
        self._count = 0

    def add(self, sort: str, binding: dict[str, Any] | None = None, name: str = "p", **spec: Any) -> None:
        self._count += 1
        metadata = {"name": name, "uid": f"u-{name}", "resourceVersion": str(self._count)}
        match = {"matchConstraints": {"resourceRules": RULES, "namespaceSelector": {}, "objectSelector": {}}}
        kind = f"{sort}admissionpolicies.{GROUP}"
        self.objects.put(kind, {"metadata": metadata, "spec": {"failurePolicy": "Fail", **match, **spec}})
        bound = {"policyName": name, "validationActions": ["Deny"], **(binding or {})}
        self.objects.put(f"{sort}admissionpolicybindings.{GROUP}", {"metadata": {"name": f"{name}-b"}, "spec": bound})

    def validating(self, expression: str, binding: dict[str, Any] | None = None, **spec: Any) -> None:
        validation = {"expression": expression, **spec.pop("validation", {})}
        self.add("validating", binding, validations=[validation], **spec)

    def request(self, verb: str = "create", resource: str = "configmaps", user: User = JANE) -> Request:
        return Request(user, verb, builtin(resource), "n", "", NOW, warnings=self.warnings)

    async def refusal(self, obj: Any, old: Any = None, verb: str = "create") -> dict[str, Any] | None:
        try:
            await self.policies.validate(obj, old, self.request(verb), self.objects)
        except StatusError as error:
            return error.status()
        return None

    async def mutated(self, obj: dict[str, Any], resource: str = "configmaps") -> dict[str, Any]:
        self.policies.change(obj, None, self.request(resource=resource), self.objects, Reinvocation())
        return obj


def config_map(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n"}, "data": data}


def applying(expression: str, **more: Any) -> dict[str, Any]:
    mutation = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}
    return {"reinvocationPolicy": "Never", "mutations": [mutation], **more}


def patching(expression: str, **more: Any) -> dict[str, Any]:
    mutation = {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}
    return {"reinvocationPolicy": "Never", "mutations": [mutation], **more}


async def test_what_a_policy_does_not_like_is_invalid_unless_it_says_otherwise() -> None:
    cluster = Cluster()
    cluster.validating("object.data.a == '1'")
    refused = await cluster.refusal(config_map(a="2"))
    assert refused is not None
    text = "ValidatingAdmissionPolicy 'p' with binding 'p-b' denied request: failed expression: object.data.a == '1'"
    assert (refused["code"], refused["reason"]) == (422, "Invalid")
    assert refused["message"] == f'configmaps "c" is forbidden: {text}'
    assert refused["details"] == {"name": "c", "kind": "configmaps", "causes": [{"message": text}]}
    assert await cluster.refusal(config_map(a="1")) is None


async def test_a_policy_that_changes_is_followed_at_once() -> None:
    cluster = Cluster()
    cluster.validating("false")
    assert await cluster.refusal(config_map()) is not None
    cluster.validating("true")
    assert await cluster.refusal(config_map()) is None


@pytest.mark.parametrize(
    ("validation", "code", "message"),
    [
        ({"reason": "Forbidden", "message": " no "}, 403, "no"),
        ({"reason": "RequestEntityTooLarge"}, 413, "failed expression: false"),
        ({"messageExpression": "'by ' + request.userInfo.username"}, 422, "by jane"),
        ({"messageExpression": "object.nope", "message": "m"}, 422, "m"),
        ({"messageExpression": "'a\\nb'", "message": "m"}, 422, "m"),
        ({"messageExpression": "namespaceObject.metadata.labels.env"}, 422, "prod"),
    ],
)
async def test_a_validation_words_its_refusal(validation: dict[str, Any], code: int, message: str) -> None:
    cluster = Cluster()
    cluster.validating("false", validation=validation)
    refused = await cluster.refusal(config_map())
    assert refused is not None
    assert (refused["code"], refused["message"].partition("denied request: ")[2]) == (code, message)


@pytest.mark.parametrize(
    ("policy", "message"),
    [("Fail", "expression 'object.data.b == '1'' resulted in error: no such key: b"), ("Ignore", None)],
)
async def test_what_cannot_be_evaluated_follows_the_failure_policy(policy: str, message: str | None) -> None:
    cluster = Cluster()
    cluster.validating("object.data.b == '1'", failurePolicy=policy)
    refused = await cluster.refusal(config_map(a="1"))
    assert (refused["message"].partition("denied request: ")[2] if refused else None) == message


async def test_variables_are_evaluated_when_they_are_asked_for() -> None:
    cluster = Cluster()
    variables = [
        {"name": "bad", "expression": "object.data.nope"},
        {"name": "n", "expression": "size(object.data)"},
        {"name": "m", "expression": "variables.n + 1"},
    ]
    cluster.validating("variables.m == 2", variables=variables)
    assert await cluster.refusal(config_map(a="1")) is None
    cluster.validating("variables.bad == 2", variables=variables)
    refused = await cluster.refusal(config_map(a="1"))
    assert refused is not None
    assert 'composited variable "bad" fails to evaluate: no such key: nope' in refused["message"]


@pytest.mark.parametrize(
    ("conditions", "denied"),
    [
        (["true"], True),
        (["true", "false"], False),
        (["object.nope == 1", "false"], False),
        (["object.nope == 1", "true"], True),
    ],
)
async def test_match_conditions_decide_whether_a_policy_is_asked(conditions: list[str], denied: bool) -> None:
    cluster = Cluster()
    named = [{"name": f"c{index}", "expression": each} for index, each in enumerate(conditions)]
    cluster.validating("false", matchConditions=named)
    assert (await cluster.refusal(config_map()) is not None) is denied


@pytest.mark.parametrize(
    ("match", "denied"),
    [
        ({"namespaceSelector": {"matchLabels": {"env": "prod"}}}, True),
        ({"namespaceSelector": {"matchLabels": {"env": "test"}}}, False),
        ({"objectSelector": {"matchLabels": {"a": "b"}}}, False),
        ({"resourceRules": [{**RULES[0], "operations": ["DELETE"]}]}, False),
        ({"resourceRules": [{**RULES[0], "resourceNames": ["c"]}]}, True),
        ({"excludeResourceRules": RULES}, False),
        ({"resourceRules": [{**RULES[0], "scope": "Cluster"}]}, False),
    ],
)
async def test_a_binding_narrows_what_a_policy_sees(match: dict[str, Any], denied: bool) -> None:
    cluster = Cluster()
    cluster.validating("false", {"matchResources": match})
    assert (await cluster.refusal(config_map()) is not None) is denied


async def test_a_warning_refuses_nothing() -> None:
    cluster = Cluster()
    cluster.validating("false", {"validationActions": ["Warn", "Audit"]}, validation={"message": "careful"})
    assert await cluster.refusal(config_map()) is None
    assert cluster.warnings == ["Validation failed for ValidatingAdmissionPolicy 'p' with binding 'p-b': careful"]


async def test_what_goes_is_only_the_old_object() -> None:
    cluster = Cluster()
    cluster.validating("object == null && oldObject.data.a == '2' && request.operation == 'DELETE'")
    assert await cluster.refusal(config_map(a="2"), config_map(a="2"), "delete") is None
    assert await cluster.refusal(config_map(a="1"), config_map(a="1"), "delete") is not None


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ({"name": "params", "parameterNotFoundAction": "Deny"}, "max is 1"),
        ({"selector": {"matchLabels": {"is": "param"}}, "parameterNotFoundAction": "Deny"}, "max is 1"),
        ({"name": "nope", "parameterNotFoundAction": "Allow"}, None),
        (
            {"name": "nope", "parameterNotFoundAction": "Deny"},
            "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction",
        ),
    ],
)
async def test_parameters_are_found_by_name_or_by_label(reference: dict[str, Any], message: str | None) -> None:
    cluster = Cluster()
    param = {"metadata": {"name": "params", "namespace": "n", "labels": {"is": "param"}}, "data": {"max": "1"}}
    cluster.objects.put("configmaps", param)
    kind = {"apiVersion": "v1", "kind": "ConfigMap"}
    validation = {"messageExpression": "'max is ' + params.data.max"}
    text = "size(object.data) <= int(params.data.max)"
    cluster.validating(text, {"paramRef": reference}, paramKind=kind, validation=validation)
    refused = await cluster.refusal(config_map(a="1", b="2"))
    assert (refused["message"].partition("denied request: ")[2] if refused else None) == message


async def test_parameters_of_an_unknown_kind_make_a_policy_unusable() -> None:
    cluster = Cluster()
    cluster.validating("true", paramKind={"apiVersion": "example.com/v1", "kind": "Limit"})
    refused = await cluster.refusal(config_map())
    assert refused is not None
    text = "failed to configure policy: failed to find resource referenced by paramKind: 'example.com/v1, Kind=Limit'"
    assert refused["message"].endswith(f"ValidatingAdmissionPolicy 'p' denied request: {text}")


async def test_the_authorizer_knows_what_the_user_may() -> None:
    cluster = Cluster()
    cluster.validating("authorizer.group('').resource('pods').namespace('n').check('get').allowed()")
    assert await cluster.refusal(config_map()) is not None
    role = {"metadata": {"name": "r"}, "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]}
    subjects = [{"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}]
    reference = {"kind": "ClusterRole", "name": "r", "apiGroup": "rbac.authorization.k8s.io"}
    cluster.objects.put("clusterroles.rbac.authorization.k8s.io", role)
    binding = {"metadata": {"name": "b"}, "subjects": subjects, "roleRef": reference}
    cluster.objects.put("clusterrolebindings.rbac.authorization.k8s.io", binding)
    assert await cluster.refusal(config_map()) is None
    cluster.validating("authorizer.requestResource.check('delete').allowed()")
    assert await cluster.refusal(config_map()) is not None


def autoscaling(policy: str = "Equivalent") -> dict[str, Any]:
    """Return what selects autoscalers in their newer version."""
    rule = {"apiGroups": ["autoscaling"], "apiVersions": ["v2"], "operations": ["*"]}
    return {"matchPolicy": policy, "resourceRules": [{**rule, "resources": ["horizontalpodautoscalers"]}]}


def autoscaler() -> dict[str, Any]:
    target = {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}
    spec = {"scaleTargetRef": target, "maxReplicas": 3, "targetCPUUtilizationPercentage": 50}
    metadata = {"name": "a", "namespace": "n"}
    return {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": spec}


@pytest.mark.parametrize(("policy", "denied"), [("Equivalent", True), ("Exact", False)])
async def test_a_policy_sees_objects_in_the_version_that_it_names(policy: str, denied: bool) -> None:
    cluster = Cluster()
    text = "request.kind.version == 'v2' && request.requestKind.version == 'v1' && has(object.spec.metrics) && false"
    cluster.validating(text, matchConstraints=autoscaling(policy))
    request = Request(JANE, "create", resources_in("autoscaling/v1")["horizontalpodautoscalers"], "n", "", NOW)
    refused = False
    try:
        await cluster.policies.validate(autoscaler(), None, request, cluster.objects)
    except StatusError as error:
        refused = "failed expression" in error.message
    assert refused is denied


async def test_a_mutation_in_another_version_comes_back_in_the_own_one() -> None:
    cluster = Cluster()
    spec = applying("Object{spec: Object.spec{maxReplicas: 7}}", matchConstraints=autoscaling())
    cluster.add("mutating", **spec)
    request = Request(JANE, "create", resources_in("autoscaling/v1")["horizontalpodautoscalers"], "n", "", NOW)
    draft = autoscaler()
    cluster.policies.change(draft, None, request, cluster.objects, Reinvocation())
    assert draft["apiVersion"] == "autoscaling/v1"
    assert (draft["spec"]["maxReplicas"], draft["spec"]["targetCPUUtilizationPercentage"]) == (7, 50)


async def test_policies_never_see_policies() -> None:
    cluster = Cluster()
    everything = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}
    cluster.validating("false", matchConstraints={"resourceRules": [everything]})
    row = f"validatingadmissionpolicies.{GROUP}"
    request = Request(JANE, "create", builtin(row), "", "", NOW)
    await cluster.policies.validate({"metadata": {"name": "q"}}, None, request, cluster.objects)


async def test_who_uses_parameters_must_be_able_to_read_them() -> None:
    cluster = Cluster()
    row = builtin(f"validatingadmissionpolicies.{GROUP}")
    policy = {"metadata": {"name": "q"}, "spec": {"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}}
    with pytest.raises(StatusError) as error:
        await cluster.policies.validate(policy, None, Request(JANE, "create", row, "", "", NOW), cluster.objects)
    text = (
        'spec.paramKind: Forbidden: user &{jane  [dev] map[]} must have "get" permission on all objects of the '
        "referenced paramKind (kind=ConfigMap, apiVersion=v1)"
    )
    assert text in error.value.message
    binding = {"metadata": {"name": "q"}, "spec": {"policyName": "q", "paramRef": {"name": "c", "namespace": "n"}}}
    row = builtin(f"mutatingadmissionpolicybindings.{GROUP}")
    with pytest.raises(StatusError, match=r"spec\.paramRef: Forbidden: unable to get policy q"):
        await cluster.policies.validate(binding, None, Request(JANE, "create", row, "", "", NOW), cluster.objects)
    admin = User("root", ("system:masters",))
    await cluster.policies.validate(policy, None, Request(admin, "create", row, "", "", NOW), cluster.objects)


async def test_an_expression_that_runs_for_long_ends() -> None:
    cluster = Cluster()
    loops = "[0,1,2,3,4,5,6,7,8,9]"
    text = f"{loops}.all(a, {loops}.all(b, {loops}.all(c, {loops}.all(d, {loops}.all(e, a + b + c + d + e >= 0)))))"
    cluster.validating(text)
    refused = await cluster.refusal(config_map())
    assert refused is not None
    assert "cost limit exceeded" in refused["message"]


async def test_an_apply_configuration_merges_by_key() -> None:
    cluster = Cluster()
    side = "[Object.spec.initContainers{name: 'side', image: 'side:1'}]"
    cluster.add("mutating", **applying(f"Object{{spec: Object.spec{{initContainers: {side}}}}}"))
    spec = {"containers": [{"name": "c", "image": "i"}], "initContainers": [{"name": "first", "image": "i"}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n"}, "spec": spec}
    done = await cluster.mutated(pod, "pods")
    assert sorted(each["name"] for each in done["spec"]["initContainers"]) == ["first", "side"]
    assert all(each["terminationMessagePath"] for each in done["spec"]["initContainers"])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            applying("Object{spec: Object.spec{nodeSelector: {'a': 'b'}}}"),
            "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: "
            ".spec.nodeSelector",
        ),
        (
            applying("Object{spec: Object.wrong{}}"),
            'type mismatch: unexpected type name "Object.wrong", expected "Object.spec", which matches field name path '
            "from root Object type",
        ),
        (
            applying("Object{spec: Object.spec{nope: 1}}"),
            "error applying patch: failed to convert patch object to typed object: .spec.nope: field not declared in "
            "schema",
        ),
        (
            patching("[JSONPatch{op: 'add', path: '/a/b/c', value: 1}]"),
            'JSON Patch: add operation does not apply: doc is missing path: "/a/b/c": missing value',
        ),
        (
            patching("[JSONPatch{op: 'remove', path: '/a'}]"),
            "JSON Patch: error in remove for path: '/a': Unable to remove nonexistent key: a: missing value",
        ),
    ],
)
async def test_a_mutation_that_cannot_be_done_refuses(spec: dict[str, Any], message: str) -> None:
    cluster = Cluster()
    cluster.add("mutating", **spec)
    containers = [{"name": "c", "image": "i"}]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": containers}}
    with pytest.raises(StatusError) as error:
        await cluster.mutated(pod, "pods")
    told = error.value.status()
    assert (told["code"], told["reason"]) == (403, "Invalid")
    assert told["message"] == f"policy 'p' with binding 'p-b' denied request: {message}"
    assert "nodeSelector" not in pod["spec"]


async def test_mutations_see_what_those_before_them_did() -> None:
    cluster = Cluster()
    first = applying("Object{metadata: Object.metadata{labels: {'m': 'yes'}}}")["mutations"]
    text = "[JSONPatch{op: 'replace', path: '/metadata/labels/m', value: object.metadata.labels.m + '2'}]"
    cluster.add("mutating", **{**patching(text), "mutations": [*first, *patching(text)["mutations"]]})
    assert (await cluster.mutated(config_map()))["metadata"]["labels"] == {"m": "yes2"}


async def test_a_test_that_fails_leaves_the_object_alone() -> None:
    cluster = Cluster()
    text = "[JSONPatch{op: 'add', path: '/data/a', value: 'x'}, JSONPatch{op: 'test', path: '/data/a', value: 'y'}]"
    cluster.add("mutating", **patching(text))
    assert (await cluster.mutated(config_map(a="1")))["data"] == {"a": "1"}


async def test_who_wants_it_is_asked_again_when_others_changed_the_object() -> None:
    cluster = Cluster()
    count = "[JSONPatch{op: 'add', path: '/data/n', value: object.data.n + 'x'}]"
    cluster.add("mutating", name="a", **{**patching(count), "reinvocationPolicy": "IfNeeded"})
    cluster.add("mutating", name="b", **patching("[JSONPatch{op: 'add', path: '/data/b', value: 'b'}]"))
    rounds, draft = Reinvocation(), config_map(n="")
    assert cluster.policies.change(draft, None, cluster.request(), cluster.objects, rounds)
    rounds.again = True
    assert cluster.policies.change(draft, None, cluster.request(), cluster.objects, rounds)
    assert draft["data"] == {"n": "xx", "b": "b"}
