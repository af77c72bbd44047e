"""Services get addresses and ports that nobody else has."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.api.kinds.service_parts.allocation import NODE_PORTS, allocate
from moorage.objects.errors import Invalid
from moorage.objects.metadata import Object


class Services:
    """The services of a cluster."""

    def __init__(self) -> None:
        self.all: list[Object] = []

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        """Return nothing: only lists are asked for."""
        return None

    def list(self, resource: str, namespace: str = "") -> Sequence[Object]:
        """Return every service."""
        return self.all


def a_service(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "n"}, "spec": {"ports": [{"port": 80, "protocol": "TCP"}], **spec}}


@given(st.lists(st.sampled_from(["ClusterIP", "NodePort"]), max_size=20))
def test_no_two_services_share_an_address_or_a_port(kinds: list[str]) -> None:
    services = Services()
    for index, kind in enumerate(kinds):
        service = a_service(f"s{index}", type=kind)
        allocate(service, None, services)
        services.all.append(service)
    ips = [each["spec"]["clusterIP"] for each in services.all]
    ports = [each["spec"]["ports"][0].get("nodePort") for each in services.all if each["spec"]["type"] == "NodePort"]
    assert len(set(ips)) == len(ips)
    assert len(set(ports)) == len(ports)
    assert all(port in NODE_PORTS for port in ports)


def test_an_address_that_is_taken_is_refused() -> None:
    services = Services()
    services.all.append(a_service("a", type="ClusterIP", clusterIPs=["10.96.3.3"]))
    with pytest.raises(Invalid, match="provided IP is already allocated"):
        allocate(a_service("b", type="ClusterIP", clusterIP="10.96.3.3"), None, services)
