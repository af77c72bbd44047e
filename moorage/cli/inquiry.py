"""Asking a cluster why: which object is meant, and the reads that the rules of moorage.why want, one after another."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from moorage.cli.__main__ import Refused
from moorage.client.client import Client, Selection, Target
from moorage.controllers.statefulset import ordinal_in, ordinals_of
from moorage.objects.errors import Forbidden, MethodNotAllowed, NotFound
from moorage.objects.kinds import builtin, group_versions, resources_in
from moorage.objects.metadata import Object, Ref
from moorage.why.chain import Answer, Link, explain
from moorage.why.world import Missing, Read, World

DEFINITIONS: Final = "customresourcedefinitions.apiextensions.k8s.io"

#: An answer that needs more reads than this has lost its way.
READS_MOST: Final = 100


async def ask(client: Client, ref: Ref, now: datetime) -> Answer:
    """Return why an object is not as wished. Raises NotFound, Forbidden for the object itself, ConnectionError."""
    try:
        obj = await client.get(Target(ref.resource, ref.namespace, ref.name))
    except NotFound:
        maker = await _maker_of(client, ref)
        if maker is None:
            raise
        answer = await ask(client, maker, now)
        yet = Link(ref, f"does not exist yet: StatefulSet {maker.name} makes it")
        return replace(answer, links=(yet, *answer.links), is_wrong=True)
    world = World(now)
    world.add(Read(ref.resource, ref.namespace, ref.name), (obj,))
    for _ in range(READS_MOST):
        try:
            return explain(ref, obj, world)
        except Missing as missing:
            world.add(missing.read, await _read(client, missing.read))
    raise Refused(f"why {ref} is as it is cannot be told: too much would have to be read.")


async def _maker_of(client: Client, ref: Ref) -> Ref | None:
    """Return the StatefulSet that will make a pod of this name, None if there is none."""
    maker = Ref("statefulsets.apps", ref.namespace, ref.name.rpartition("-")[0])
    if ref.resource != "pods" or not maker.name:
        return None
    try:
        workload = await client.get(Target(*maker[:3]))
    except (NotFound, Forbidden):
        return None
    return maker if ordinal_in(workload, ref.name) in ordinals_of(workload) else None


async def _read(client: Client, read: Read) -> Sequence[Object] | str:
    """Return the objects of a read, or the server's text where this user may not read them."""
    try:
        if read.name:
            return (await client.get(Target(read.resource, read.namespace, read.name)),)
        fields = f"involvedObject.uid={read.about}" if read.about else ""
        listing = await client.list(read.resource, Selection(read.namespace, fields=fields))
        return [item.object for item in listing.items]
    except Forbidden as error:
        return str(error)
    except (NotFound, MethodNotAllowed):
        return ()


async def resource_named(client: Client, word: str) -> tuple[str, bool]:
    """Return id and whether it lives in namespaces of what kubectl calls `word`. Raises Refused."""
    wanted = word.lower()
    for api_version in group_versions():
        for row in resources_in(api_version).values():
            if wanted in (row.plural, row.singular, row.kind.lower(), row.id, *row.short_names):
                return row.id, builtin(row.id).namespaced
    for item in (await client.list(DEFINITIONS)).items:
        spec = item.object["spec"]
        names, group = spec["names"], spec["group"]
        short = names.get("shortNames") or ()
        called = (names["plural"], names.get("singular"), names["kind"].lower(), f"{names['plural']}.{group}", *short)
        if wanted in called:
            return f"{names['plural']}.{group}", spec["scope"] == "Namespaced"
    raise Refused(f'the cluster has no kind "{word}".', hint="See what there is with: kubectl api-resources")
