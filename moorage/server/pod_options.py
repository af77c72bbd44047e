"""Options of the subresources that reach inside a pod, read from the query and checked; and which container is meant.

Source: kubernetes/pkg/apis/core/validation ValidatePodLogOptions, pkg/registry/core/pod/strategy.go (v1.37).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from moorage.api.list_options import parse_integer
from moorage.objects.errors import BadRequest, Cause, invalid
from moorage.objects.metadata import Object, name_of, parse_time
from moorage.server.gateway import LogOptions
from moorage.server.routes import is_true

_INVALID, _FORBIDDEN = "FieldValueInvalid", "FieldValueForbidden"


def log_options(query: Mapping[str, str], pod_name: str) -> LogOptions:
    """Return which part of a log is wanted. Raises BadRequest for what cannot be read, Invalid for what makes no sense."""
    tail, limit = _integer(query, "tailLines"), _integer(query, "limitBytes")
    seconds, time = _integer(query, "sinceSeconds"), _time(query.get("sinceTime"))
    causes = []
    if tail is not None and tail < 0:
        causes.append(Cause(_INVALID, f"Invalid value: {tail}: must be greater than or equal to 0", "tailLines"))
    if limit is not None and limit < 1:
        causes.append(Cause(_INVALID, f"Invalid value: {limit}: must be greater than 0", "limitBytes"))
    if seconds is not None and time is not None:
        text = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
        causes.append(Cause(_FORBIDDEN, text, "[]"))
    elif seconds is not None and seconds < 1:
        causes.append(Cause(_INVALID, f"Invalid value: {seconds}: must be greater than 0", "sinceSeconds"))
    if "stream" in query:
        causes.append(Cause(_FORBIDDEN, "Forbidden: may not be specified", "stream"))
    if causes:
        raise invalid("PodLogOptions", "", pod_name, causes)
    return LogOptions(
        container=query.get("container", ""),
        follow=is_true(query.get("follow")),
        previous=is_true(query.get("previous")),
        timestamps=is_true(query.get("timestamps")),
        tail_lines=tail,
        limit_bytes=limit,
        since_seconds=seconds,
        since_time=time,
    )


def _integer(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    return None if text is None else parse_integer(text)


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = parse_time(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        layout = "2006-01-02T15:04:05Z07:00"
        raise BadRequest(f'parsing time "{text}" as "{layout}": cannot parse "{text}" as "2006"')
    return moment


def container_names(pod: Object) -> Sequence[str]:
    """Return the names of all containers: those that run first, the others, those added later."""
    spec = pod.get("spec") or {}
    groups = ("initContainers", "containers", "ephemeralContainers")
    return [str(container["name"]) for group in groups for container in spec.get(group) or ()]


def chosen_container(pod: Object, wanted: str) -> str:
    """Return the container that is meant: the wanted one, or the only one. Raises BadRequest."""
    names = container_names(pod)
    if wanted:
        if wanted not in names:
            raise BadRequest(f"container {wanted} is not valid for pod {name_of(pod)}")
        return wanted
    containers: Sequence[Object] = (pod.get("spec") or {}).get("containers") or ()
    if len(containers) == 1:
        return str(containers[0]["name"])
    choice = f", choose one of: [{' '.join(names)}]" if containers else ""
    raise BadRequest(f"a container name must be specified for pod {name_of(pod)}{choice}")


def check_has_node(pod: Object) -> None:
    """Refuse to reach into a pod that no node runs. Raises BadRequest."""
    if not has_node(pod):
        raise BadRequest(f"pod {name_of(pod)} does not have a host assigned")


def has_node(pod: Object) -> bool:
    """Tell whether a node runs the pod."""
    return bool((pod.get("spec") or {}).get("nodeName"))


def ports_of(texts: Sequence[str]) -> tuple[int, ...]:
    """Return the ports of a query; each value may have several with commas. Raises BadRequest."""
    ports = []
    for text in [part for each in texts for part in each.split(",")]:
        if not text.isascii() or not text.isdigit() or int(text) > 65535:
            raise BadRequest(f'unable to parse "{text}" as a port: strconv.ParseUint: parsing "{text}": invalid syntax')
        if int(text) == 0:
            raise BadRequest(f'port "{text}" must be > 0')
        ports.append(int(text))
    if not ports:
        raise BadRequest('query parameter "ports" is required')
    return tuple(ports)
