"""kubeconfig files: how to reach a cluster and as whom; adding and removing contexts of our own.

Writing keeps everything else that is in the file, replaces it in one step, and takes the lock that kubectl takes.
Source: client-go tools/clientcmd (v0.37).
"""

import base64
import binascii
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

#: How long another writer may hold the lock; kubectl holds it for milliseconds. Tried every LOCK_STEP_SECONDS.
LOCK_TRIES: Final = 40
LOCK_STEP_SECONDS: Final = 0.05

_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----\n?", re.DOTALL)

#: Ways to authenticate that need another program, or that servers no longer take.
_UNSUPPORTED: Final = ("exec", "auth-provider", "username", "password")

_LISTS: Final = ("clusters", "users", "contexts")
_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class KubeconfigError(Exception):
    """The file cannot be read, or lacks what is asked for; the message says which file and what."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to reach a cluster and as whom.

    server:    its URL. authority: PEM of what its certificate must be signed by; b"" for what the system trusts.
    identity:  PEM of a client certificate and its key, in any order; b"" if there is none.
    token:     a bearer token, "" if there is none. token_file is read again for each connection.
    namespace: of the context. insecure: do not check the server's certificate.
    """

    server: str
    authority: bytes = b""
    identity: bytes = b""
    token: str = ""
    token_file: str = ""
    namespace: str = ""
    server_name: str = ""
    insecure: bool = False


def paths_of(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the files that kubectl reads: those of $KUBECONFIG, else ~/.kube/config."""
    listed = [each for each in environment.get("KUBECONFIG", "").split(os.pathsep) if each]
    return tuple(Path(each) for each in listed) or (Path.home() / ".kube" / "config",)


def read_credentials(paths: Sequence[Path], context: str = "") -> Credentials:
    """Return the credentials of a context, the current one by default. The first file that has a name wins.

    Raises KubeconfigError.
    """
    files = [(path, _read(path)) for path in paths if path.exists()]
    where = ", ".join(str(path) for path in paths)
    if not files:
        raise KubeconfigError(f"there is no kubeconfig: {where}")
    name = context or next((str(file["current-context"]) for _, file in files if file.get("current-context")), "")
    if not name:
        raise KubeconfigError(f"no context is current in {where}: name one")
    _, chosen = _entry(files, "contexts", "context", name)
    path, cluster = _entry(files, "clusters", "cluster", str(chosen.get("cluster") or ""))
    user: dict[str, Any] = {}
    user_path = path
    if chosen.get("user"):
        user_path, user = _entry(files, "users", "user", str(chosen["user"]))
    return _credentials(cluster, path, user, user_path, str(chosen.get("namespace") or ""))


def _entry(
    files: Sequence[tuple[Path, Mapping[str, Any]]], kind: str, key: str, name: str
) -> tuple[Path, dict[str, Any]]:
    """Return an entry by name and the file that it is in. Raises KubeconfigError."""
    for path, file in files:
        for each in file.get(kind) or ():
            if isinstance(each, dict) and each.get("name") == name:
                return path, each.get(key) or {}
    where = ", ".join(str(path) for path, _ in files)
    raise KubeconfigError(f'{where} has no {key} "{name}"')


def _credentials(
    cluster: Mapping[str, Any], path: Path, user: Mapping[str, Any], user_path: Path, namespace: str
) -> Credentials:
    for way in _UNSUPPORTED:
        if user.get(way):
            raise KubeconfigError(f"{user_path}: users with `{way}` are not supported: use a token or a certificate")
    server = str(cluster.get("server") or "")
    if not server:
        raise KubeconfigError(f"{path}: the cluster has no server")
    certificate = _content(user, "client-certificate", user_path)
    key = _content(user, "client-key", user_path)
    token_file = str(user.get("tokenFile") or "")
    return Credentials(
        server=server,
        authority=_content(cluster, "certificate-authority", path),
        identity=certificate + b"\n" + key if certificate and key else b"",
        token=str(user.get("token") or ""),
        token_file=str(user_path.parent / token_file) if token_file else "",
        namespace=namespace,
        server_name=str(cluster.get("tls-server-name") or ""),
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
    )


def _content(entry: Mapping[str, Any], name: str, path: Path) -> bytes:
    """Return what `name-data` holds, or the file that `name` names, relative to the kubeconfig. Raises KubeconfigError."""
    try:
        if entry.get(f"{name}-data"):
            return base64.b64decode(entry[f"{name}-data"])
        return (path.parent / str(entry[name])).read_bytes() if entry.get(name) else b""
    except (binascii.Error, OSError) as error:
        raise KubeconfigError(f"{path}: {name} cannot be read: {error}") from error


def credentials_in_pod(environment: Mapping[str, str], folder: Path = _ACCOUNT) -> Credentials | None:
    """Return the credentials that a pod gets, None outside of a pod."""
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT")
    token = folder / "token"
    if not host or not port or not token.exists():
        return None
    shown = f"[{host}]" if ":" in host else host
    namespace = (folder / "namespace").read_text().strip() if (folder / "namespace").exists() else ""
    authority = (folder / "ca.crt").read_bytes() if (folder / "ca.crt").exists() else b""
    return Credentials(f"https://{shown}:{port}", authority, token_file=str(token), namespace=namespace)


def config_for(name: str, credentials: Credentials) -> dict[str, Any]:
    """Return the content of a kubeconfig with one context, which is current; everything in it is called `name`."""
    cluster: dict[str, Any] = {"server": credentials.server}
    if credentials.authority:
        cluster["certificate-authority-data"] = _encoded(credentials.authority)
    if credentials.insecure:
        cluster["insecure-skip-tls-verify"] = True
    user: dict[str, Any] = {}
    certificate, key = split_identity(credentials.identity)
    if certificate and key:
        user |= {"client-certificate-data": _encoded(certificate), "client-key-data": _encoded(key)}
    if credentials.token:
        user["token"] = credentials.token
    context = {"cluster": name, "user": name}
    if credentials.namespace:
        context["namespace"] = credentials.namespace
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": context}],
        "current-context": name,
    }


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def split_identity(pem: bytes) -> tuple[bytes, bytes]:
    """Return the certificates and the private keys of a PEM text."""
    parts: dict[bool, bytes] = {False: b"", True: b""}
    for block in _BLOCK.finditer(pem):
        parts[b"PRIVATE KEY" in block.group(1)] += block.group(0).rstrip(b"\n") + b"\n"
    return parts[False], parts[True]


def write_file(path: Path, name: str, credentials: Credentials) -> None:
    """Write a kubeconfig with this context alone, readable by its owner alone. Raises OSError."""
    _replace(path, _plain_text(config_for(name, credentials)))


def _plain_text(value: Any, indent: str = "") -> str:
    """Return maps, lists of maps, texts and booleans as YAML: what writes any YAML takes too long to import at a start."""
    lines = []
    for key, member in value.items():
        if isinstance(member, dict):
            lines.append(
                f"{indent}{key}:\n{_plain_text(member, indent + '  ')}" if member else f"{indent}{key}: {{}}\n"
            )
        elif isinstance(member, list):
            items = (_plain_text(item, indent + "  ") for item in member)
            lines.append(f"{indent}{key}:\n" + "".join(f"{indent}- {item[len(indent) + 2 :]}" for item in items))
        else:  # a JSON text is a YAML one
            lines.append(f"{indent}{key}: {json.dumps(member, ensure_ascii=False)}\n")
    return "".join(lines)


def merge_file(path: Path, source: Path) -> None:
    """Put the contexts of `source` into the kubeconfig at `path`, with its current one. Raises KubeconfigError, OSError."""
    added = _read(source)

    def merge(config: dict[str, Any]) -> None:
        for kind in _LISTS:
            names = {each["name"] for each in added.get(kind) or ()}
            kept = [each for each in config.get(kind) or () if each.get("name") not in names]
            config[kind] = [*kept, *(added.get(kind) or ())]
        if added.get("current-context"):
            config["current-context"] = added["current-context"]

    _change(path, merge)


def remove_context(path: Path, name: str) -> None:
    """Remove a context, and its cluster and user unless another context has them. Raises KubeconfigError, OSError."""
    if not path.exists():
        return

    def remove(config: dict[str, Any]) -> None:
        contexts = config.get("contexts") or []
        gone = [each.get("context") or {} for each in contexts if each.get("name") == name]
        config["contexts"] = [each for each in contexts if each.get("name") != name]
        kept = [each.get("context") or {} for each in config["contexts"]]
        for kind, key in (("clusters", "cluster"), ("users", "user")):
            unused = {each.get(key) for each in gone} - {each.get(key) for each in kept}
            config[kind] = [each for each in config.get(kind) or [] if each.get("name") not in unused]
        if config.get("current-context") == name:
            config["current-context"] = ""

    _change(path, remove)


def _read(path: Path) -> dict[str, Any]:
    """Return a kubeconfig's content. Raises KubeconfigError."""
    import yaml

    try:
        content = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except (OSError, yaml.YAMLError) as error:
        raise KubeconfigError(f"{path} cannot be read: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict) or any(not isinstance(content.get(kind) or [], list) for kind in _LISTS):
        raise KubeconfigError(f"{path} is no kubeconfig")
    return content


def _change(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Read, change and replace a kubeconfig under its lock; a file that already says so is not touched."""
    path = Path(os.path.realpath(path))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(path):
        before = _read(path) if path.exists() else {"apiVersion": "v1", "kind": "Config", "preferences": {}}
        after = dict(before)
        change(after)
        if after != before:
            _replace(path, _text(after))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock that client-go takes: a file beside the kubeconfig. Raises KubeconfigError when it stays taken."""
    import time

    lock = path.with_name(path.name + ".lock")
    for attempt in range(LOCK_TRIES):
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            break
        except FileExistsError:
            if attempt == LOCK_TRIES - 1:
                raise KubeconfigError(f"{path} is locked by another program: remove {lock} if there is none") from None
            time.sleep(LOCK_STEP_SECONDS)
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            lock.unlink()


def _text(content: Mapping[str, Any]) -> str:
    import yaml

    text: str = yaml.dump(
        dict(content), Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False, allow_unicode=True
    )
    return text


def _replace(path: Path, text: str) -> None:
    """Write a file in one step, with mode 0600."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
