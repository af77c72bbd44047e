"""Plugins change and refuse writes as upstream's do."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from moorage.aio.entropy import RandomEntropy
from moorage.api.admission.chain import AdmissionChain
from moorage.api.request import SYSTEM, Request
from moorage.objects.errors import Forbidden, NotFound
from moorage.objects.kinds import builtin
from moorage.objects.metadata import Object, name_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Objects:
    """What exists in the cluster, by resource."""

    def __init__(self, **objects: Any) -> None:
        self.objects: dict[str, list[Object]] = {"namespaces": [{"metadata": {"name": "n"}}], **objects}

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        """Return one object."""
        return next((each for each in self.list(resource, namespace) if name_of(each) == name), None)

    def list(self, resource: str, namespace: str = "") -> Sequence[Object]:
        """Return all objects of a resource."""
        return self.objects.get(resource, [])


def a_request(namespace: str = "n") -> Request:
    return Request(SYSTEM, "create", builtin("pods"), namespace, "", NOW)


def a_pod() -> dict[str, Any]:
    return {"metadata": {"name": "p", "namespace": "n"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def a_chain() -> AdmissionChain:
    return AdmissionChain(RandomEntropy(random.Random(1)))


async def test_a_pod_finds_its_token_in_every_container() -> None:
    pod = a_pod()
    await a_chain().mutate(pod, None, a_request(), Objects(serviceaccounts=[{"metadata": {"name": "default"}}]))
    volume = pod["spec"]["volumes"][0]["name"]
    assert volume.startswith("kube-api-access-")
    assert pod["spec"]["containers"][0]["volumeMounts"][0]["name"] == volume
    assert pod["spec"]["serviceAccountName"] == "default"
    assert [each["tolerationSeconds"] for each in pod["spec"]["tolerations"]] == [300, 300]
    assert pod["spec"]["priority"] == 0


async def test_nothing_is_created_in_a_namespace_that_is_missing() -> None:
    with pytest.raises(NotFound, match='namespaces "other" not found'):
        await a_chain().mutate(a_pod(), None, a_request("other"), Objects())


async def test_a_quota_refuses_what_is_too_much() -> None:
    quota = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "0"}}}
    with pytest.raises(Forbidden, match="exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0"):
        await a_chain().validate(a_pod(), None, a_request(), Objects(resourcequotas=[quota]))


async def test_a_limit_range_gives_defaults_and_bounds() -> None:
    limits = {
        "metadata": {"name": "l"},
        "spec": {"limits": [{"type": "Container", "default": {"cpu": "2"}, "max": {"cpu": "1"}}]},
    }
    objects = Objects(limitranges=[limits], serviceaccounts=[{"metadata": {"name": "default"}}])
    pod = a_pod()
    await a_chain().mutate(pod, None, a_request(), objects)
    assert pod["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "2"}}
    with pytest.raises(Forbidden, match="maximum cpu usage per Container is 1, but limit is 2"):
        await a_chain().validate(pod, None, a_request(), objects)


async def test_the_restricted_standard_is_enforced_by_label() -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    objects = Objects(namespaces=[{"metadata": {"name": "n", "labels": labels}}])
    with pytest.raises(Forbidden, match='violates PodSecurity "restricted:latest"'):
        await a_chain().validate(a_pod(), None, a_request(), objects)


@pytest.mark.parametrize("subresource", ["", "eviction", "token"])
async def test_nothing_is_created_in_a_namespace_that_goes_not_even_a_subresource(subresource: str) -> None:
    going = {"metadata": {"name": "n", "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    lookup = Objects(namespaces=[going])
    request = replace(a_request(), subresource=subresource)
    with pytest.raises(Forbidden, match="because it is being terminated"):
        await AdmissionChain(RandomEntropy(random.Random(1))).mutate(a_pod(), None, request, lookup)
