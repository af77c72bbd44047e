"""From a Service to who answers for it."""

from typing import Any

import pytest

from moorage.api.admission.webhooks.caller import ServiceReference
from moorage.cluster.service_routes import NoRoute, Route, routes_to
from tests.api.objects_at_hand import ObjectsAtHand

SERVICE = ServiceReference("n", "s", 443)


def cluster(spec: dict[str, Any], *endpoints: dict[str, Any]) -> ObjectsAtHand:
    objects = ObjectsAtHand()
    objects.put("services", {"metadata": {"name": "s", "namespace": "n"}, "spec": spec})
    metadata = {"name": "s-1", "namespace": "n", "labels": {"kubernetes.io/service-name": "s"}}
    ports = [{"name": "a", "port": 1}, {"name": "b", "port": 2}]
    objects.put("endpointslices.discovery.k8s.io", {"metadata": metadata, "ports": ports, "endpoints": list(endpoints)})
    return objects


def test_ready_endpoints_answer_on_the_port_of_the_services_name() -> None:
    ready, unknown = {"addresses": ["10.0.0.1"], "conditions": {"ready": True}}, {"addresses": ["10.0.0.2"]}
    unready = {"addresses": ["10.0.0.3"], "conditions": {"ready": False}}
    spec = {"clusterIP": "10.96.0.9", "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 443}]}
    routes = routes_to(SERVICE, cluster(spec, ready, unready, unknown))
    assert routes == [Route("10.0.0.1", 2), Route("10.0.0.2", 2)]


def test_an_external_name_answers_on_the_port_that_is_asked_for() -> None:
    assert routes_to(SERVICE, cluster({"type": "ExternalName", "externalName": "h"})) == [Route("h", 443)]


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"ports": [{"port": 80}]}, 'no service port 443 found for service "s"'),
        ({"ports": [{"port": 443}]}, 'no endpoints available for service "s"'),
        ({"clusterIP": "None", "ports": [{"port": 443}]}, 'cannot route to service with ClusterIP "None"'),
    ],
)
def test_a_service_that_leads_nowhere_is_refused(spec: dict[str, Any], why: str) -> None:
    with pytest.raises(NoRoute, match=why):
        routes_to(SERVICE, cluster(spec))


def test_a_service_that_is_not_there_is_refused() -> None:
    with pytest.raises(NoRoute, match='service "s" not found'):
        routes_to(SERVICE, ObjectsAtHand())


def test_a_pod_is_one_only_where_it_has_the_address() -> None:
    target = {"kind": "Pod", "namespace": "n", "name": "p"}
    own, foreign = ({"addresses": [each], "targetRef": target} for each in ("10.0.0.1", "10.0.0.2"))
    objects = cluster({"ports": [{"name": "a", "port": 443}]}, own, foreign)
    pod = {"metadata": {"name": "p", "namespace": "n"}, "status": {"podIPs": [{"ip": "10.0.0.1"}]}}
    objects.put("pods", pod)
    assert routes_to(SERVICE, objects) == [Route("10.0.0.1", 1, pod), Route("10.0.0.2", 1)]
