"""The specification of a job, of its own and in a CronJob.

Source: pkg/apis/batch/validation (v1.37).
"""

from collections.abc import Mapping
from typing import Any

from moorage.api.kinds.job_parts.policies import validate_failure_policy, validate_success_policy
from moorage.api.kinds.pod_spec.specification import validate_pod_template
from moorage.api.kinds.workload.numbers import validate_amounts
from moorage.objects.errors import Cause
from moorage.objects.validation import invalid, not_supported, required, too_long, validate_prefixed_path

Part = Mapping[str, Any]

COMPLETIONS_SOFT, INDEXED_MOST, HIGH_MOST, MANAGED_BY_MOST = 100_000, 100_000, 10_000, 63
_INDEXED_ONLY = "requires indexed completion mode"


def validate_job_spec(path: str, spec: Part) -> list[Cause]:
    """Return every broken rule of a job's specification but those about its selector."""
    causes = validate_amounts(
        path,
        spec,
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    )
    if (owner := spec.get("managedBy")) is not None:
        causes += validate_prefixed_path(f"{path}.managedBy", owner)
        if len(owner) > MANAGED_BY_MOST:
            causes.append(too_long(f"{path}.managedBy", MANAGED_BY_MOST))
    causes += _validate_mode(path, spec)
    if spec.get("podFailurePolicy") is not None:
        causes += validate_failure_policy(f"{path}.podFailurePolicy", spec)
    if spec.get("successPolicy") is not None:
        causes += validate_success_policy(f"{path}.successPolicy", spec)
    causes += _validate_replacement(f"{path}.podReplacementPolicy", spec)
    template = spec.get("template") or {}
    causes += validate_pod_template(f"{path}.template", template)
    return causes + _validate_restart_policy(f"{path}.template.spec.restartPolicy", template.get("spec") or {}, spec)


def _validate_mode(path: str, spec: Part) -> list[Cause]:
    mode, completions = spec.get("completionMode"), spec.get("completions")
    parallelism, most_failed = spec.get("parallelism"), spec.get("maxFailedIndexes")
    causes: list[Cause] = []
    per_index = spec.get("backoffLimitPerIndex")
    if per_index is None and most_failed is not None:
        causes.append(required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    if mode is not None and mode not in {"NonIndexed", "Indexed"}:
        causes.append(not_supported(f"{path}.completionMode", mode, ("NonIndexed", "Indexed")))
    if mode != "Indexed":
        if per_index is not None:
            causes.append(invalid(f"{path}.backoffLimitPerIndex", per_index, _INDEXED_ONLY))
        if most_failed is not None:
            causes.append(invalid(f"{path}.maxFailedIndexes", most_failed, _INDEXED_ONLY))
        return causes
    if completions is None:
        causes.append(required(f"{path}.completions", "when completion mode is Indexed"))
    if parallelism is not None and parallelism > INDEXED_MOST:
        text = f"must be less than or equal to {INDEXED_MOST} when completion mode is Indexed"
        causes.append(invalid(f"{path}.parallelism", parallelism, text))
    return causes + _validate_indexed(path, completions, parallelism, most_failed, per_index)


def _validate_indexed(
    path: str, completions: int | None, parallelism: int | None, most_failed: int | None, per_index: int | None
) -> list[Cause]:
    causes: list[Cause] = []
    place = f"{path}.maxFailedIndexes"
    if most_failed is not None and completions is not None and most_failed > completions:
        causes.append(invalid(place, most_failed, "must be less than or equal to completions"))
    if most_failed is not None and most_failed > INDEXED_MOST:
        causes.append(invalid(place, most_failed, f"must be less than or equal to {INDEXED_MOST}"))
    if completions is None or completions <= COMPLETIONS_SOFT or per_index is None:
        return causes
    high = (
        f"must be less than or equal to {HIGH_MOST} when completions are above {COMPLETIONS_SOFT} and used with backoff "
        "limit per index"
    )
    if most_failed is None:
        causes.append(required(place, f"must be specified when completions is above {COMPLETIONS_SOFT}"))
    if parallelism is not None and parallelism > HIGH_MOST:
        causes.append(invalid(f"{path}.parallelism", parallelism, high))
    if most_failed is not None and most_failed > HIGH_MOST:
        causes.append(invalid(place, most_failed, high))
    return causes


def _validate_replacement(path: str, spec: Part) -> list[Cause]:
    policy = spec.get("podReplacementPolicy")
    if policy is None:
        return []
    allowed = ("Failed",) if spec.get("podFailurePolicy") is not None else ("Failed", "TerminatingOrFailed")
    return [] if policy in allowed else [not_supported(path, policy, allowed)]


def _validate_restart_policy(path: str, pod: Part, spec: Part) -> list[Cause]:
    policy = pod.get("restartPolicy") or ""
    if not policy or policy == "Always":
        return [required(path, 'valid values: "OnFailure", "Never"')]
    if policy not in {"OnFailure", "Never"}:
        return [not_supported(path, policy, ("OnFailure", "Never"))]
    if spec.get("podFailurePolicy") is not None and policy != "Never":
        text = 'only "Never" is supported when podFailurePolicy is specified'
        return [invalid(path, policy, text)]
    return []
