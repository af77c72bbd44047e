"""With which bindings and parameters a policy is used for a write.

Source: apiserver/pkg/admission/plugin/policy/generic/policy_dispatcher.go (v1.37).
"""

from collections.abc import Iterator
from typing import NamedTuple

from moorage.api.admission.policies.calls import Call
from moorage.api.admission.policies.index import Hook
from moorage.api.admission.policies.params import Misconfigured, params_for, source_of
from moorage.api.admission.policies.programs import Program
from moorage.api.admission.policies.selection import selected
from moorage.api.kind_rules import Lookup
from moorage.objects.kinds import Resource
from moorage.objects.metadata import Object, name_of


class Invocation(NamedTuple):
    """One policy with one binding and one set of parameters. matched: as what the write was selected."""

    program: Program
    binding: Object
    matched: Resource
    param: Object | None


class Unusable(NamedTuple):
    """A policy (binding: "") or one of its bindings that cannot be used, and is not to be ignored then."""

    policy: str
    binding: str
    message: str


def invocations_of(hook: Hook, call: Call, lookup: Lookup) -> Iterator[Invocation | Unusable]:
    """Yield how a policy is used for a write, nothing if it is not about it. Raises NotFound for a missing namespace."""
    spec, policy = hook.policy["spec"], name_of(hook.policy)
    matched = selected(hook.match, call, lookup)
    if matched is None:
        return
    program = hook.program
    try:
        source = source_of(spec["paramKind"], lookup) if spec.get("paramKind") else None
    except Misconfigured as error:
        if not program.ignores_failures:
            yield Unusable(policy, "", f"failed to configure policy: {error}")
        return
    for binding in hook.bindings:
        if selected(binding["spec"].get("matchResources"), call, lookup) is None:
            continue
        try:
            params = params_for(source, binding["spec"].get("paramRef"), call.namespace, lookup)
        except Misconfigured as error:
            if not program.ignores_failures:
                yield Unusable(policy, name_of(binding), f"failed to configure binding: {error}")
            continue
        for param in params:
            yield Invocation(program, binding, matched, param)
