"""Whom a clientConfig names."""

import pytest

from moorage.api.admission.webhooks.caller import ServiceReference, endpoint_of


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://127.0.0.1:1/", "https://127.0.0.1:1/?timeout=10s"),
        ("https://a.example", "https://a.example/?timeout=10s"),
        ("https://a.example/b/c/", "https://a.example/b/c?timeout=10s"),
        ("https://[::1]:9443/x", "https://[::1]:9443/x?timeout=10s"),
    ],
)
def test_a_url_is_called_as_it_is_written(url: str, shown: str) -> None:
    assert endpoint_of({"url": url}).url("timeout=10s") == shown


def test_a_service_is_called_by_its_name() -> None:
    endpoint = endpoint_of({"service": {"namespace": "n", "name": "s", "path": "/p"}, "caBundle": "UEVN"})
    assert endpoint.url() == "https://s.n.svc:443/p"
    assert (endpoint.service, endpoint.host, endpoint.authority) == (ServiceReference("n", "s", 443), "s.n.svc", b"PEM")
