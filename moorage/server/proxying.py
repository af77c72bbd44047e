"""The proxy subresources of pods, services and nodes: requests to what runs in the cluster.

Pods are reached as port-forward reaches them, through their node. A node answers for itself what its pods and health
are.
Differs from Kubernetes: nodes have no kubelet that listens: of its pages only `healthz` and `pods` are there, and other
ports of nodes cannot be reached.
Source: pkg/registry/core/{pod,service,node} ResourceLocation, apiserver/pkg/util/proxy/proxy.go (v1.37).
"""

import asyncio
import ssl
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from moorage.api.request import Request
from moorage.objects.encoded import Encoded
from moorage.objects.endpoint_slices import SERVICE_NAME, SLICES
from moorage.objects.errors import BadRequest, ServiceUnavailable
from moorage.objects.kinds import Resource, builtin
from moorage.objects.metadata import Object
from moorage.server import errors
from moorage.server.forwarding import Backend, forward, unreachable
from moorage.server.replies import Reply
from moorage.server.requests import Call

if TYPE_CHECKING:
    from moorage.server.front import Front

#: The port of a node's own server.
KUBELET_PORT = "10250"


class Target(NamedTuple):
    """A name in a proxy's path: `name`, `name:port` or `scheme:name:port`."""

    scheme: str
    name: str
    port: str


def target_of(text: str, kind: str) -> Target:
    """Read a name. Raises BadRequest. Source: apimachinery/pkg/util/net/port_split.go."""
    parts = text.split(":")
    if len(parts) == 3:
        target = Target(*parts)
    elif len(parts) < 3:
        target = Target("", parts[0], parts[1] if len(parts) == 2 else "")
    else:
        target = Target("", "", "")
    if not target.name or target.scheme not in ("", "http", "https"):
        shown = text.replace("\\", "\\\\").replace('"', '\\"')
        raise BadRequest(f'invalid {kind} request "{shown}"')
    return target


async def serve_proxy(front: "Front", call: Call, resource: Resource) -> Any:
    """Serve a request to something in the cluster. Raises StatusError, ConnectionError."""
    target = target_of(call.target.name, resource.singular)
    kind = resource.subresources["proxy"].kind
    options = {"kind": kind, "apiVersion": "v1", "path": f"/{call.target.subpath}"}
    await front.parts.api.connect(call.request("connect", resource), options)
    if resource.plural == "nodes":
        return await _node(front, call, resource, target)
    if resource.plural == "pods":
        pod = await _object(front, call, resource, target.name)
        port = target.port or _first_port(pod) or ("443" if target.scheme == "https" else "80")
        address = (pod.get("status") or {}).get("podIP") or ""
        if not address:
            raise BadRequest("address not allowed")
    else:
        pod, address, port = await _endpoint(front, call, resource, target)
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise unreachable(f"dial tcp: address {port}: invalid port")
    return await _forwarded(front, call, pod, Place(target.scheme, address, int(port)))


class Place(NamedTuple):
    """Where a pod listens."""

    scheme: str
    address: str
    port: int


async def _forwarded(front: "Front", call: Call, pod: Object, place: Place) -> Any:
    prefix, path, query = split_target(call.http.raw_path)
    if not path:
        moved = Reply(301, b"", "")
        moved.headers = (("Location", f"{prefix}/{query}"),)
        return moved

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        peer = await front.parts.gateway.dial(pod, place.port)
        peer.settimeout(0)
        if place.scheme != "https":
            return await asyncio.open_connection(sock=peer)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return await asyncio.open_connection(sock=peer, ssl=context, server_hostname=place.address)

    return await forward(front, call, Backend(connect, f"{place.address}:{place.port}", f"{path}{query}", prefix))


def split_target(raw: str) -> tuple[str, str, str]:
    """Return the proxy's own path, what follows it and the query, all as they came: the path begins with a slash or is ""."""
    path, mark, query = raw.partition("?")
    parts = path.split("/")
    place = 7 if parts[3] == "namespaces" else 5
    rest = parts[place + 1 :]
    return "/".join(parts[: place + 1]), "".join(f"/{each}" for each in rest), f"{mark}{query}"


def _first_port(pod: Object) -> str:
    containers = pod["spec"].get("containers") or ()
    ports = (str(each["ports"][0]["containerPort"]) for each in containers if each.get("ports"))
    return next(ports, "")


async def _endpoint(front: "Front", call: Call, resource: Resource, target: Target) -> tuple[Object, str, str]:
    """Return a ready pod of a service, its address and its port. Raises ServiceUnavailable, NotFound."""
    port = target.port
    if port.isdigit():
        service = await _object(front, call, resource, target.name)
        ports = (each for each in (service.get("spec") or {}).get("ports") or () if each["port"] == int(port))
        found = next(ports, None)
        if found is None:
            raise ServiceUnavailable(f'no service port {port} found for service "{target.name}"')
        port = found.get("name") or ""
    query = {"labelSelector": f"{SERVICE_NAME}={target.name}"}
    slices = await front.parts.api.list(_request(call, "list", builtin(SLICES), "", query))
    candidates = list(_candidates([item.object for item in slices.items], port, call.target.namespace))
    while candidates:
        index = int(front.parts.entropy.fraction() * len(candidates))
        name, address, number = candidates.pop(index)
        pod = await _pod(front, call, name)
        if pod is not None and address in _addresses(pod):
            return pod, address, str(number)
    raise ServiceUnavailable(f'no endpoints available for service "{target.name}"')


def _candidates(slices: Sequence[Object], port_name: str, namespace: str) -> Iterator[tuple[str, str, int]]:
    """Yield pod, address and port of every ready endpoint that is a pod of the namespace."""
    for each in slices:
        ports = (port for port in each.get("ports") or () if (port.get("name") or "") == port_name and port.get("port"))
        found = next(ports, None)
        for endpoint in (each.get("endpoints") or ()) if found is not None else ():
            reference = endpoint.get("targetRef") or {}
            is_ready = (endpoint.get("conditions") or {}).get("ready") is not False
            if is_ready and reference.get("kind") == "Pod" and reference.get("namespace") == namespace and found:
                yield reference["name"], endpoint["addresses"][0], found["port"]


def _addresses(pod: Object) -> list[str]:
    return [each.get("ip") or "" for each in (pod.get("status") or {}).get("podIPs") or ()]


async def _pod(front: "Front", call: Call, name: str) -> Object | None:
    from moorage.objects.errors import NotFound

    try:
        return await _object(front, call, builtin("pods"), name)
    except NotFound:
        return None


async def _object(front: "Front", call: Call, resource: Resource, name: str) -> Object:
    answer = await front.parts.api.get(_request(call, "get", resource, name, {}))
    return answer.body.object if isinstance(answer.body, Encoded) else answer.body


def _request(call: Call, verb: str, resource: Resource, name: str, query: dict[str, str]) -> Request:
    namespace = call.target.namespace if resource.namespaced else ""
    return Request(call.user, verb, resource, namespace, name, call.now, query=query, agent=call.agent)


async def _node(front: "Front", call: Call, resource: Resource, target: Target) -> Reply:
    """Answer for a node's own server."""
    node = await _object(front, call, resource, target.name)
    if target.port not in ("", KUBELET_PORT):
        addresses = (node.get("status") or {}).get("addresses") or ()
        address = next((each["address"] for each in addresses if each["type"] == "InternalIP"), target.name)
        raise unreachable(f"dial tcp {address}:{target.port}: connect: no route to host")
    page = call.target.subpath
    if page == "healthz" and call.http.method in ("GET", "HEAD"):
        return Reply(200, b"ok", errors.PLAIN_TEXT)
    if page == "pods" and call.http.method == "GET":
        return await _pods_of_node(front, call, target.name)
    return errors.page_not_found()


async def _pods_of_node(front: "Front", call: Call, name: str) -> Reply:
    request = Request(
        call.user, "list", builtin("pods"), "", "", call.now, query={"fieldSelector": f"spec.nodeName={name}"}
    )
    page = await front.parts.api.list(request)
    items = b",".join(item.raw for item in page.items)
    return Reply(200, b'{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[%b]}' % items, "application/json")
