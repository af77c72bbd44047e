"""Probes and lifecycle handlers.

Source: pkg/apis/core/validation/validation.go, validateProbe, validateHandler and their like (v1.37).
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from moorage.objects.errors import Cause
from moorage.objects.validation import (
    each_invalid,
    forbidden,
    header_name_problems,
    invalid,
    not_negative,
    not_supported,
    port_name_problems,
    port_number_problems,
    required,
)

_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_SIGNALS = frozenset(
    "ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP "
    "TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX".split()
)
STOP_SIGNALS: Mapping[str, tuple[str, ...]] = {
    "linux": tuple(
        sorted(
            {f"SIG{name}" for name in _SIGNALS}
            | {f"SIGRTMIN+{number}" for number in range(1, 16)}
            | {f"SIGRTMAX-{number}" for number in range(1, 15)}
        )
    ),
    "windows": ("SIGKILL", "SIGTERM"),
}


def validate_probes(path: str, container: Mapping[str, Any], grace_seconds: int) -> list[Cause]:
    """Return the causes of the lifecycle and the three probes of a container, in upstream's order."""
    causes: list[Cause] = []
    if (probe := container.get("livenessProbe")) is not None:
        causes += _validate_probe(f"{path}.livenessProbe", probe, grace_seconds)
        causes += _must_be_one(f"{path}.livenessProbe", probe)
    if (probe := container.get("readinessProbe")) is not None:
        causes += _validate_readiness(f"{path}.readinessProbe", probe, grace_seconds)
    if (probe := container.get("startupProbe")) is not None:
        causes += _validate_probe(f"{path}.startupProbe", probe, grace_seconds)
        causes += _must_be_one(f"{path}.startupProbe", probe)
    return causes


def _must_be_one(path: str, probe: Mapping[str, Any]) -> list[Cause]:
    successes = probe.get("successThreshold") or 0
    return [] if successes == 1 else [invalid(f"{path}.successThreshold", successes, "must be 1")]


def _validate_readiness(path: str, probe: Mapping[str, Any], grace_seconds: int) -> list[Cause]:
    causes = _validate_probe(path, probe, grace_seconds)
    seconds = probe.get("terminationGracePeriodSeconds")
    if seconds is not None:
        text = "must not be set for readinessProbes"
        causes.append(invalid(f"{path}.terminationGracePeriodSeconds", seconds, text))
    return causes


def _validate_probe(path: str, probe: Mapping[str, Any], grace_seconds: int) -> list[Cause]:
    causes = validate_handler(path, probe, grace_seconds)
    for field in (
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ):
        causes += not_negative(f"{path}.{field}", probe.get(field))
    seconds = probe.get("terminationGracePeriodSeconds")
    if seconds is not None and seconds <= 0:
        causes.append(invalid(f"{path}.terminationGracePeriodSeconds", seconds, "must be greater than 0"))
    return causes


def validate_lifecycle(path: str, lifecycle: Mapping[str, Any], grace_seconds: int, os: str) -> list[Cause]:
    """Return the causes of lifecycle handlers and of the stop signal; `os` is the pod's, "" if it names none."""
    causes: list[Cause] = []
    for hook in ("postStart", "preStop"):
        if (handler := lifecycle.get(hook)) is not None:
            causes += validate_handler(f"{path}.{hook}", handler, grace_seconds)
    if (signal := lifecycle.get("stopSignal")) is not None:
        if not os:
            text = "may not be set for containers with empty `spec.os.name`"
            causes.append(forbidden(f"{path}.stopSignal", text))
        elif signal not in STOP_SIGNALS.get(os, ()):
            causes.append(not_supported(f"{path}.stopSignal", signal, STOP_SIGNALS.get(os, ())))
    return causes


def validate_handler(path: str, handler: Mapping[str, Any], grace_seconds: int) -> list[Cause]:
    """Return the causes of a handler that has no action, more than one, or a wrong one."""
    checks: Mapping[str, Callable[[str, Mapping[str, Any]], list[Cause]]] = {
        "exec": _validate_exec,
        "httpGet": _validate_http,
        "tcpSocket": _validate_tcp,
        "grpc": _validate_grpc,
        "sleep": partial(_validate_sleep, grace_seconds),
    }
    causes: list[Cause] = []
    found = False
    for action in _HANDLERS:
        if (value := handler.get(action)) is None:
            continue
        if found:
            causes.append(forbidden(f"{path}.{action}", "may not specify more than 1 handler type"))
            continue
        found = True
        causes += checks[action](f"{path}.{action}", value)
    if not found:
        causes.append(required(path, "must specify a handler type"))
    return causes


def _validate_exec(path: str, action: Mapping[str, Any]) -> list[Cause]:
    return [] if action.get("command") else [required(f"{path}.command")]


def _validate_http(path: str, action: Mapping[str, Any]) -> list[Cause]:
    causes: list[Cause] = []
    if not action.get("path"):
        causes.append(required(f"{path}.path"))
    causes += validate_port(f"{path}.port", action.get("port", 0))
    if (scheme := action.get("scheme") or "") not in {"HTTP", "HTTPS"}:
        causes.append(not_supported(f"{path}.scheme", scheme, ("HTTP", "HTTPS")))
    for header in action.get("httpHeaders") or ():
        name = header.get("name") or ""
        causes += each_invalid(f"{path}.httpHeaders", name, header_name_problems(name))
    protocol = action.get("protocol")
    if protocol and protocol not in {"HTTP1", "HTTP2"}:
        causes.append(not_supported(f"{path}.protocol", protocol, ("HTTP1", "HTTP2")))
    return causes


def _validate_tcp(path: str, action: Mapping[str, Any]) -> list[Cause]:
    return validate_port(f"{path}.port", action.get("port", 0))


def _validate_grpc(path: str, action: Mapping[str, Any]) -> list[Cause]:
    return validate_port(f"{path}.port", action.get("port", 0))


def _validate_sleep(grace_seconds: int, path: str, action: Mapping[str, Any]) -> list[Cause]:
    seconds = action.get("seconds") or 0
    if 0 <= seconds <= grace_seconds:
        return []
    text = f"must be non-negative and less than terminationGracePeriodSeconds ({grace_seconds})"
    return [invalid(path, seconds, text)]


def validate_port(path: str, port: int | str) -> list[Cause]:
    """Return the causes of a port that is neither a valid number nor a valid name."""
    if isinstance(port, str):
        return each_invalid(path, port, port_name_problems(port))
    return each_invalid(path, port, port_number_problems(port))
