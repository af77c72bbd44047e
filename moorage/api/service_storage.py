"""Services in and out of the store, together with the IPAddresses by which they have their cluster addresses.

An IPAddress is made before its service and goes after it: who makes it has the address. A crash in between leaves one
without a service, which a controller takes away (moorage.controllers.ip_addresses).
Source: pkg/registry/core/service/storage/alloc.go, ipallocator.go (v1.37).
"""

import contextlib
from collections.abc import Iterable
from datetime import datetime

from moorage.api.pipeline import Tools
from moorage.api.request import Draft
from moorage.objects.encoded import Encoded
from moorage.objects.errors import AlreadyExists, Conflict
from moorage.objects.kinds import Resource, builtin
from moorage.objects.metadata import Object, format_time
from moorage.objects.service_networks import (
    IP_ADDRESSES,
    cluster_addresses_of,
    ip_address_for,
    is_address_of,
)


class AddressTaken(Conflict):
    """Somebody else got the address since it was chosen: choose again."""


async def take_addresses(tools: Tools, draft: Draft, now: datetime) -> None:
    """Take the addresses of a service that is about to be made. Raises AddressTaken.

    Before admission judges it, as upstream does: nothing is waited for between a quota's count and the write.
    """
    await _take(tools, draft, cluster_addresses_of(draft), now)


async def release_addresses(tools: Tools, draft: Draft) -> None:
    """Let the addresses go of a service that was not made after all."""
    await _release(tools, draft, cluster_addresses_of(draft))


async def create_service(tools: Tools, resource: Resource, draft: Draft) -> Encoded:
    """Write a new service that has its addresses. Raises AlreadyExists, after which it has none."""
    try:
        return await tools.storage.create(resource, draft)
    except BaseException:
        await release_addresses(tools, draft)
        raise


async def update_service(tools: Tools, resource: Resource, draft: Draft, old: Encoded, now: datetime) -> Encoded:
    """Replace a service; addresses that came with the change are taken before, those that went are free after it."""
    before, after = cluster_addresses_of(old.object), cluster_addresses_of(draft)
    if before == after:
        return await tools.storage.update(resource, draft, old)
    taken = await _take(tools, draft, [each for each in after if each not in before], now)
    try:
        item = await tools.storage.update(resource, draft, old)
    except BaseException:
        await _release(tools, draft, taken)
        raise
    await _release(tools, draft, [each for each in before if each not in after])
    return item


async def delete_service(tools: Tools, resource: Resource, old: Encoded) -> None:
    """Remove a service, then its addresses. Raises Conflict."""
    await tools.storage.delete(resource, old)
    await _release(tools, old.object, cluster_addresses_of(old.object))


async def _take(tools: Tools, service: Object, addresses: Iterable[str], now: datetime) -> list[str]:
    """Make the IPAddresses; returns those that were made. Raises AddressTaken, after which none of them is there."""
    taken: list[str] = []
    for address in addresses:
        draft = ip_address_for(service, address)
        metadata = draft["metadata"]
        draft["metadata"] = {
            "name": metadata["name"],
            "uid": tools.entropy.uid(),
            "creationTimestamp": format_time(now),
            "labels": metadata["labels"],
        }
        try:
            await tools.storage.create(builtin(IP_ADDRESSES), draft)
        except AlreadyExists as error:
            await _release(tools, service, taken)
            raise AddressTaken(f"the address {address} was taken by somebody else just now") from error
        taken.append(address)
    return taken


async def _release(tools: Tools, service: Object, addresses: Iterable[str]) -> None:
    """Remove the service's IPAddresses; what somebody else has made of them since stays."""
    resource = builtin(IP_ADDRESSES)
    for address in addresses:
        item = tools.storage.find(resource, "", address)
        if item is not None and is_address_of(item.object, service):
            with contextlib.suppress(Conflict):
                await tools.storage.delete(resource, item)
