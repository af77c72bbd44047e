"""Every pod runs as a service account, and finds the account's token in a volume.

Source: plugin/pkg/admission/serviceaccount (v1.37).
"""

from collections.abc import Mapping
from typing import Any

from moorage.aio.entropy import Entropy
from moorage.api.admission.refusals import refused
from moorage.api.kind_rules import Lookup
from moorage.api.request import Draft, Request
from moorage.objects.metadata import Object, annotations_of

RESOURCES = frozenset({"pods"})

MIRROR = "kubernetes.io/config.mirror"
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 (a path)
TOKEN_VOLUME = "kube-api-access-"  # noqa: S105 (a prefix)

#: A little more than an hour: clients refresh a token before it is old. Source: the plugin's default.
TOKEN_SECONDS = 3607


def mutate(draft: Draft, old: Object | None, request: Request, lookup: Lookup, entropy: Entropy) -> None:
    """Set the account, its token volume and its pull secrets on a new pod."""
    if old is not None or request.subresource:
        return
    spec = draft["spec"]
    if MIRROR in annotations_of(draft):
        _check_mirror(draft, spec, request)
        return
    name = spec.get("serviceAccountName") or "default"
    spec["serviceAccountName"] = spec["serviceAccount"] = name
    account = lookup.get("serviceaccounts", request.namespace, name)
    if account is None:
        text = f'error looking up service account {request.namespace}/{name}: serviceaccount "{name}" not found'
        raise refused(draft, request, text)
    if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
        spec["imagePullSecrets"] = [dict(each) for each in account["imagePullSecrets"]]
    if _wants_token(spec, account):
        _mount_token(spec, entropy)


def _check_mirror(draft: Draft, spec: Mapping[str, Any], request: Request) -> None:
    if spec.get("serviceAccountName"):
        raise refused(draft, request, "a mirror pod may not reference service accounts")
    for volume in spec.get("volumes") or ():
        if volume.get("secret"):
            raise refused(draft, request, "a mirror pod may not reference secrets")


def _wants_token(spec: Mapping[str, Any], account: Object) -> bool:
    for owner in (spec, account):
        wanted = owner.get("automountServiceAccountToken")
        if wanted is not None:
            return bool(wanted)
    return True


def _mount_token(spec: Draft, entropy: Entropy) -> None:
    volumes = spec.get("volumes") or []
    name = next((each["name"] for each in volumes if (each.get("name") or "").startswith(TOKEN_VOLUME)), "")
    is_needed = False
    name = name or TOKEN_VOLUME + entropy.suffix()
    for field in ("initContainers", "containers"):
        for container in spec.get(field) or ():
            mounts = container.get("volumeMounts") or []
            if any(each.get("mountPath") == TOKEN_PATH for each in mounts):
                continue
            container["volumeMounts"] = [*mounts, {"name": name, "readOnly": True, "mountPath": TOKEN_PATH}]
            is_needed = True
    if is_needed and all(each.get("name") != name for each in volumes):
        spec["volumes"] = [*volumes, _token_volume(name)]


def _token_volume(name: str) -> Draft:
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return {
        "name": name,
        "projected": {
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [namespace]}},
            ],
            "defaultMode": 420,
        },
    }
