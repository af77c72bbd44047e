"""Webhooks: their names, whom they call, and how.

Source: pkg/apis/admissionregistration/validation, apiserver/pkg/util/webhook/validation.go (v1.37).
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from moorage.api.kinds.webhooks.rules import FAILURE_POLICIES, MATCH_POLICIES, validate_conditions, validate_rule
from moorage.objects.errors import Cause
from moorage.objects.selector_rules import validate_label_selector
from moorage.objects.validation import (
    dns1035_label_problems,
    dns1123_subdomain_problems,
    duplicate,
    each_invalid,
    in_list,
    invalid,
    port_number_problems,
    required,
    validate_fully_qualified_name,
)

Part = Mapping[str, Any]

TIMEOUT_SECONDS_MOST = 30

_SIDE_EFFECTS = ("None", "NoneOnDryRun")
_REINVOCATION = ("IfNeeded", "Never")
_VERSIONS = ("v1", "v1beta1")
_FORM = "; desired format: https://host[/path]"


def validate_webhooks(webhooks: Sequence[Part], *, mutating: bool) -> list[Cause]:
    """Return every broken rule of the webhooks of one configuration."""
    causes: list[Cause] = []
    names: set[str] = set()
    for index, hook in enumerate(webhooks):
        path, name = f"webhooks[{index}]", hook.get("name") or ""
        causes += _validate_webhook(path, hook, mutating=mutating)
        causes += _validate_versions(f"{path}.admissionReviewVersions", hook.get("admissionReviewVersions") or [])
        if name and name in names:
            causes.append(duplicate(f"{path}.name", name))
        names.add(name)
    return causes


def _validate_webhook(path: str, hook: Part, *, mutating: bool) -> list[Cause]:
    causes = validate_fully_qualified_name(f"{path}.name", hook.get("name") or "")
    for index, rule in enumerate(hook.get("rules") or ()):
        causes += validate_rule(f"{path}.rules[{index}]", rule)
    for field, allowed in (("failurePolicy", FAILURE_POLICIES), ("matchPolicy", MATCH_POLICIES)):
        if (policy := hook.get(field)) is not None:
            causes += in_list(f"{path}.{field}", policy, allowed)
    effects = hook.get("sideEffects")
    if effects is None:
        causes.append(required(f"{path}.sideEffects", f"must specify one of {', '.join(_SIDE_EFFECTS)}"))
    else:
        causes += in_list(f"{path}.sideEffects", effects, _SIDE_EFFECTS)
    seconds = hook.get("timeoutSeconds")
    if seconds is not None and not 1 <= seconds <= TIMEOUT_SECONDS_MOST:
        text = f"the timeout value must be between 1 and {TIMEOUT_SECONDS_MOST} seconds"
        causes.append(invalid(f"{path}.timeoutSeconds", seconds, text))
    for field in ("namespaceSelector", "objectSelector"):
        causes += validate_label_selector(f"{path}.{field}", hook.get(field))
    if mutating and (policy := hook.get("reinvocationPolicy")) is not None:
        causes += in_list(f"{path}.reinvocationPolicy", policy, _REINVOCATION)
    causes += validate_client(f"{path}.clientConfig", hook.get("clientConfig") or {})
    return causes + validate_conditions(f"{path}.matchConditions", hook.get("matchConditions") or ())


def _validate_versions(path: str, versions: Sequence[str]) -> list[Cause]:
    accepted = ", ".join(_VERSIONS)
    if not versions:
        return [required(path, f"must specify one of {accepted}")]
    causes: list[Cause] = []
    for index, version in enumerate(versions):
        if version in versions[:index]:
            causes.append(invalid(f"{path}[{index}]", version, "duplicate version"))
        else:
            causes += each_invalid(f"{path}[{index}]", version, dns1035_label_problems(version))
    if not any(version in _VERSIONS for version in versions):
        causes.append(invalid(path, versions, f"must include at least one of {accepted}"))
    return causes


def validate_client(path: str, client: Part) -> list[Cause]:
    """Return every broken rule of how a webhook is reached: by URL or by service."""
    url, service = client.get("url"), client.get("service")
    if (url is None) == (service is None):
        return [required(path, "exactly one of url or service is required")]
    if url is not None:
        return _validate_url(f"{path}.url", url)
    return _validate_service(f"{path}.service", service or {})


def _validate_url(path: str, url: str) -> list[Cause]:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        return [required(path, f"url must be a valid URL: {error}{_FORM}")]
    user, at, host = parts.netloc.rpartition("@")
    causes: list[Cause] = []
    if parts.scheme != "https":
        causes.append(invalid(path, parts.scheme, f"'https' is the only allowed URL scheme{_FORM}"))
    if not host:
        causes.append(invalid(path, host, f"host must be specified{_FORM}"))
    if at:
        causes.append(invalid(path, user, "user information is not permitted in the URL"))
    if parts.fragment:
        causes.append(invalid(path, parts.fragment, "fragments are not permitted in the URL"))
    if parts.query:
        causes.append(invalid(path, parts.query, "query parameters are not permitted in the URL"))
    return causes


def _validate_service(path: str, service: Part) -> list[Cause]:
    causes: list[Cause] = []
    # Upstream passes the two the wrong way round: a missing namespace is told of the name, and the other way.
    if not service.get("namespace"):
        causes.append(required(f"{path}.name"))
    if not service.get("name"):
        causes.append(required(f"{path}.namespace"))
    port = service.get("port")
    if port is not None and (problems := port_number_problems(port)):
        causes.append(invalid(f"{path}.port", port, f"port is not valid: {','.join(problems)}"))
    return causes + _validate_path(f"{path}.path", service.get("path") or "")


def _validate_path(path: str, text: str) -> list[Cause]:
    if text in {"", "/"}:
        return []
    if text == "//":
        return [invalid(path, text, "segment[0] may not be empty")]
    causes = [] if text.startswith("/") else [invalid(path, text, "must start with a '/'")]
    for index, segment in enumerate(text[1:].removesuffix("/").split("/")):
        if not segment:
            causes.append(invalid(path, text, f"segment[{index}] may not be empty"))
            continue
        problems = dns1123_subdomain_problems(segment)
        causes += [invalid(path, text, f"segment[{index}]: {problem}") for problem in problems]
    return causes
