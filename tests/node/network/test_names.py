"""What the cluster's DNS answers, and where service addresses lead."""

from collections.abc import Mapping
from typing import Any

import dnslib
from hypothesis import given
from hypothesis import strategies as st

from moorage.node.network.dns import answer, failure
from moorage.node.network.endpoints import Backend, Front, fronts_for
from moorage.node.network.names import Zone


def service(name: str, namespace: str = "default", **spec: Any) -> Mapping[str, Any]:
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"ports": ports, **spec}}


def slice_of(name: str, *endpoints: Mapping[str, Any], port: int = 8080) -> Mapping[str, Any]:
    return {
        "metadata": {"name": f"{name}-x", "namespace": "default", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
        "endpoints": list(endpoints),
    }


def endpoint(address: str, hostname: str = "", node: str = "", **conditions: bool) -> Mapping[str, Any]:
    return {"addresses": [address], "hostname": hostname, "nodeName": node, "conditions": conditions}


WEB = service("web", clusterIP="10.96.7.7")
DATABASE = service("db", clusterIP="None")
OUTSIDE = service("outside", type="ExternalName", externalName="example.com")
SLICES = [
    slice_of("web", endpoint("10.124.1.2", ready=True), endpoint("10.124.2.3", ready=False)),
    slice_of("db", endpoint("10.124.1.4", "db-0", ready=True), endpoint("10.124.2.5", "db-1", ready=True)),
]
ZONE = Zone([WEB, DATABASE, OUTSIDE], SLICES)


def ask(name: str, kind: str = "A", zone: Zone = ZONE, turn: int = 0) -> dnslib.DNSRecord | None:
    packed = answer(bytes(dnslib.DNSRecord.question(name, kind).pack()), zone, turn)
    return dnslib.DNSRecord.parse(packed) if packed else None


def values(name: str, kind: str = "A", turn: int = 0) -> list[str]:
    found = ask(name, kind, turn=turn)
    assert found is not None
    return [str(one.rdata) for one in found.rr]


def test_a_service_has_its_cluster_address() -> None:
    assert values("web.default.svc.cluster.local") == ["10.96.7.7"]
    assert values("WEB.Default.svc.CLUSTER.local") == ["10.96.7.7"]


def test_a_headless_service_has_the_addresses_of_its_pods_in_turn() -> None:
    assert values("db.default.svc.cluster.local") == ["10.124.1.4", "10.124.2.5"]
    assert values("db.default.svc.cluster.local", turn=1) == ["10.124.2.5", "10.124.1.4"]


def test_a_stateful_pod_has_a_name_of_its_own() -> None:
    assert values("db-1.db.default.svc.cluster.local") == ["10.124.2.5"]


def test_ports_are_services() -> None:
    found = ask("_http._tcp.db.default.svc.cluster.local", "SRV")
    assert found is not None
    assert [str(one.rdata) for one in found.rr] == [
        "0 50 8080 db-0.db.default.svc.cluster.local.",
        "0 50 8080 db-1.db.default.svc.cluster.local.",
    ]
    assert [str(one.rdata) for one in found.ar] == ["10.124.1.4", "10.124.2.5"]
    assert values("_http._tcp.web.default.svc.cluster.local", "SRV") == ["0 100 80 web.default.svc.cluster.local."]


def test_an_external_name_is_an_alias() -> None:
    assert values("outside.default.svc.cluster.local") == ["example.com."]


def test_addresses_lead_back_to_names() -> None:
    assert values("7.7.96.10.in-addr.arpa", "PTR") == ["web.default.svc.cluster.local."]
    assert values("4.1.124.10.in-addr.arpa", "PTR") == ["db-0.db.default.svc.cluster.local."]


def test_a_pod_has_a_name_made_of_its_address() -> None:
    assert values("10-124-1-4.default.pod.cluster.local") == ["10.124.1.4"]


def test_a_name_that_is_not_there_is_told_with_the_authority() -> None:
    found = ask("absent.default.svc.cluster.local")
    assert found is not None
    assert dnslib.RCODE[found.header.rcode] == "NXDOMAIN"
    assert found.auth
    exists = ask("web.default.svc.cluster.local", "AAAA")
    assert exists is not None
    assert (dnslib.RCODE[exists.header.rcode], exists.rr) == ("NOERROR", [])
    above = ask("default.svc.cluster.local")
    assert above is not None
    assert dnslib.RCODE[above.header.rcode] == "NOERROR"


def test_other_names_are_for_other_resolvers() -> None:
    assert ask("example.com") is None
    question = bytes(dnslib.DNSRecord.question("example.com").pack())
    assert answer(question, ZONE) is None
    assert dnslib.RCODE[dnslib.DNSRecord.parse(failure(question)).header.rcode] == "SERVFAIL"


def test_a_long_answer_by_udp_is_cut_and_whole_by_tcp() -> None:
    many = slice_of("db", *(endpoint(f"10.124.1.{number}", ready=True) for number in range(2, 102)))
    zone = Zone([DATABASE], [many])
    question = bytes(dnslib.DNSRecord.question("db.default.svc.cluster.local").pack())
    short = dnslib.DNSRecord.parse(answer(question, zone) or b"")
    assert short.header.tc
    assert len(dnslib.DNSRecord.parse(answer(question, zone, udp=False) or b"").rr) == 100


@given(st.binary(max_size=80))
def test_any_packet_is_answered_or_ignored(packet: bytes) -> None:
    answer(packet, ZONE)


def test_a_front_leads_to_ready_endpoints() -> None:
    fronts = fronts_for([WEB, DATABASE, OUTSIDE], SLICES)
    assert fronts == {Front("10.96.7.7", 80, "TCP"): (Backend("10.124.1.2", 8080),)}


def test_without_ready_endpoints_those_that_still_serve_are_used() -> None:
    ending = slice_of("web", endpoint("10.124.1.2", ready=False, serving=True, terminating=True))
    assert list(fronts_for([WEB], [ending]).values()) == [(Backend("10.124.1.2", 8080),)]
    assert list(fronts_for([WEB], []).values()) == [()]


def test_local_traffic_stays_on_the_node() -> None:
    local = service("web", clusterIP="10.96.7.7", internalTrafficPolicy="Local")
    both = slice_of("web", endpoint("10.124.1.2", node="n1", ready=True), endpoint("10.124.2.2", node="n2", ready=True))
    assert list(fronts_for([local], [both], "n2").values()) == [(Backend("10.124.2.2", 8080),)]
