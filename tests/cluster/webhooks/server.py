"""A real HTTPS server that answers as a webhook does, and certificates that it shows."""

import asyncio
import base64
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Answer = Callable[[dict[str, Any]], Any]


class Certificate:
    """A certificate that signs itself, for 127.0.0.1 and some names."""

    def __init__(self, directory: Path, *names: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "webhook")])
        begin = datetime(2025, 1, 1, tzinfo=UTC)
        known = [x509.IPAddress(ip_address("127.0.0.1")), *(x509.DNSName(each) for each in names)]
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(days=36500))
            .add_extension(x509.SubjectAlternativeName(known), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        pem = made.public_bytes(serialization.Encoding.PEM)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.file = directory / f"{id(self)}.pem"
        self.file.write_bytes(pem + private)
        self.bundle = base64.b64encode(pem).decode()
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(self.file)


class WebhookServer:
    """Serves webhooks by path. `asked` are all reviews, `connections` the ports from which they came."""

    def __init__(self, certificate: Certificate) -> None:
        self.certificate = certificate
        self.asked: list[dict[str, Any]] = []
        self.connections: set[int] = set()
        self.port = 0
        self._answers: dict[str, Answer] = {}
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.1)

    async def __aenter__(self) -> "WebhookServer":
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self.certificate.context)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def on(self, path: str, answer: Answer) -> dict[str, Any]:
        """Answer reviews at a path: with what goes into `response`, with a whole web.Response, or (None) never."""
        self._answers[path] = answer
        return {"url": f"https://127.0.0.1:{self.port}{path}", "caBundle": self.certificate.bundle}

    async def _handle(self, http: web.BaseRequest) -> web.StreamResponse:
        review = orjson.loads(await http.read())
        self.asked.append(review)
        peer = http.transport.get_extra_info("peername") if http.transport else None
        self.connections.add(peer[1] if peer else 0)
        answer = self._answers[http.path](review["request"])
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, web.StreamResponse):
            return answer
        response = {"uid": review["request"]["uid"], **answer}
        body = orjson.dumps({"kind": review["kind"], "apiVersion": review["apiVersion"], "response": response})
        return web.Response(body=body, content_type="application/json")


def patching(*operations: dict[str, Any]) -> dict[str, Any]:
    """Return the answer of a webhook that changes an object."""
    return {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(orjson.dumps(operations)).decode()}
