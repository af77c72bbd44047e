"""Our certificate towards servers of aggregated APIs, and what tells them to believe it.

Made after the start, once: nobody needs it before the first such server is there.
Source: kubeadm's front-proxy certificates, pkg/controlplane/controller/clusterauthenticationtrust (v1.37).
"""

from pathlib import Path
from typing import Any, Final

import orjson

from moorage.aio.clock import Clock
from moorage.api.kind_rules import Lookup
from moorage.client.client import Client
from moorage.cluster.certificates import Pki, ensure_front_proxy

NAMESPACE, NAME = "kube-system", "extension-apiserver-authentication"

#: What our certificate says who we are.
CLIENT_NAME: Final = "front-proxy-client"


def authentication_data(pki: Pki) -> dict[str, str]:
    """Return how servers of aggregated APIs know users: by client certificates, and by us."""
    return {
        "client-ca-file": pki.authority.read_text(),
        "requestheader-allowed-names": _list(CLIENT_NAME),
        "requestheader-client-ca-file": pki.front_proxy_authority.read_text(),
        "requestheader-extra-headers-prefix": _list("X-Remote-Extra-"),
        "requestheader-group-headers": _list("X-Remote-Group"),
        "requestheader-uid-headers": _list("X-Remote-Uid"),
        "requestheader-username-headers": _list("X-Remote-User"),
    }


class FrontProxy:
    """Makes and keeps our certificate."""

    def __init__(self, pki: Pki, clock: Clock) -> None:
        self._pki = pki
        self._clock = clock

    def certificate(self) -> Path:
        """Return the file of certificate and key; makes them when they are first needed."""
        ensure_front_proxy(self._pki, self._clock.now(), CLIENT_NAME)
        return self._pki.front_proxy_client

    async def publish(self, client: Client, lookup: Lookup) -> None:
        """Have the ConfigMap say what it must."""
        self.certificate()
        data = authentication_data(self._pki)
        found = lookup.get("configmaps", NAMESPACE, NAME)
        if found is None:
            made: dict[str, Any] = {"metadata": {"name": NAME, "namespace": NAMESPACE}, "data": data}
            await client.create("configmaps", {"apiVersion": "v1", "kind": "ConfigMap", **made})
        elif any((found.get("data") or {}).get(key) != value for key, value in data.items()):
            await client.update("configmaps", {**found, "data": {**(found.get("data") or {}), **data}})


def _list(text: str) -> str:
    return orjson.dumps([text]).decode()
