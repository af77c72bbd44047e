"""Reaching inside pods: logs, exec, attach and port-forward, checked here and done by the gateway."""

from collections.abc import Iterable
from typing import Any

from moorage.objects.encoded import Encoded
from moorage.objects.errors import BadRequest
from moorage.objects.kinds import Resource
from moorage.objects.metadata import Object
from moorage.server.front import Front
from moorage.server.gateway import ExecOptions
from moorage.server.pod_options import check_has_node, chosen_container, log_options
from moorage.server.requests import Call
from moorage.server.routes import all_values, is_true


async def serve_inside(front: Front, call: Call, resource: Resource) -> Any:
    """Serve one of the subresources. Raises StatusError before any answer, ConnectionError when the client goes."""
    subresource = call.target.subresource
    if subresource == "log":
        from moorage.server.logs import serve_log

        options = log_options(call.query, call.target.name)
        return await serve_log(front, call, await _pod(front, call, resource), options)
    pod = await _pod(front, call, resource)
    if subresource == "portforward":
        from moorage.server.upgrades.port_forward import serve

        check_has_node(pod)
        await _admit(front, call, resource, {"ports": _ports(all_values(call.pairs, "ports"))})
        return await serve(call, pod, front.parts.gateway, front.streams)
    return await _run(front, call, pod, resource)


def _ports(texts: Iterable[str]) -> list[int]:
    return [int(each) for text in texts for each in text.split(",") if each.isdigit()]


async def _admit(front: Front, call: Call, resource: Resource, options: dict[str, Any]) -> None:
    """Ask admission whether the connection may be made. Raises StatusError. options: without what is empty."""
    kind = resource.subresources[call.target.subresource].kind
    given = {key: value for key, value in options.items() if value}
    request = call.request("connect", resource)
    await front.parts.api.connect(request, {"kind": kind, "apiVersion": "v1", **given})


async def _pod(front: Front, call: Call, resource: Resource) -> Object:
    answer = await front.parts.api.get(call.request("get", resource, subresource=""))
    return answer.body.object if isinstance(answer.body, Encoded) else answer.body


async def _run(front: Front, call: Call, pod: Object, resource: Resource) -> Any:
    """Serve exec or attach."""
    from moorage.server.upgrades import exec as execution

    query, gateway = call.query, front.parts.gateway
    container = chosen_container(pod, query.get("container", ""))
    check_has_node(pod)
    tty = is_true(query.get("tty"))
    wanted = execution.Wanted(
        stdin=is_true(query.get("stdin")),
        stdout=is_true(query.get("stdout")),
        stderr=is_true(query.get("stderr")) and not tty,
        tty=tty,
    )
    if not (wanted.stdin or wanted.stdout or wanted.stderr):
        raise BadRequest("you must specify at least 1 of stdin, stdout, stderr")
    attaches = call.target.subresource == "attach"
    command = () if attaches else all_values(call.pairs, "command")
    if not attaches and not command:
        raise BadRequest("you must specify at least one command for the container")
    streams = {"stdin": wanted.stdin, "stdout": wanted.stdout, "stderr": wanted.stderr, "tty": tty}
    asked = {**streams, "container": query.get("container", ""), "command": list(command)}
    await _admit(front, call, resource, asked)
    options = ExecOptions(container, command, stdin=wanted.stdin, tty=tty)
    start = gateway.attach if attaches else gateway.exec
    return await execution.serve(call, wanted, lambda: start(pod, options), front.streams, kills=not attaches)
