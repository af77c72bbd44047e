"""What every namespace has from the start: a ServiceAccount `default`, and a ConfigMap with the certificate authority.

Source: pkg/controller/serviceaccount/serviceaccounts_controller.go and
pkg/controller/certificates/rootcacertpublisher/publisher.go (v1.37).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from moorage.controllers.rule import Controller, Decision, View
from moorage.objects.actions import Create, Update
from moorage.objects.metadata import Object, Ref, is_terminating, name_of, namespace_of

ACCOUNT: Final = "default"
ROOT_CERTIFICATE: Final = "kube-root-ca.crt"

_DESCRIPTION: Final = {
    "kubernetes.io/description": (
        "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
        "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of "
        "Kubernetes clusters."
    )
}


@dataclass(frozen=True, slots=True)
class Observed:
    """A namespace, and the one object in it that a rule looks after, if it is there."""

    namespace: str
    found: Object | None


def _observe(resource: str, name: str, view: View, ref: Ref) -> Observed | None:
    namespace = view.get("namespaces", "", ref.name)
    if namespace is None or is_terminating(namespace):
        return None
    return Observed(ref.name, view.get(resource, ref.name, name))


def decide_account(observed: Observed, now: datetime) -> Decision:
    """Say whether the ServiceAccount must be made."""
    if observed.found is not None:
        return Decision(because="it is there")
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": ACCOUNT, "namespace": observed.namespace},
    }
    return Decision((Create("serviceaccounts", account),), because="it is missing")


def decide_certificate(authority: str, observed: Observed, now: datetime) -> Decision:
    """Say whether the ConfigMap must be made or set right. `authority` is the certificate as PEM."""
    data = {"ca.crt": authority}
    found = observed.found
    if found is None:
        metadata = {"name": ROOT_CERTIFICATE, "namespace": observed.namespace, "annotations": _DESCRIPTION}
        made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        return Decision((Create("configmaps", made),), because="it is missing")
    annotations = found["metadata"].get("annotations") or {}
    if found.get("data") == data and _DESCRIPTION.items() <= annotations.items():
        return Decision(because="it is there")
    metadata = {**found["metadata"], "annotations": {**annotations, **_DESCRIPTION}}
    return Decision((Update("configmaps", {**found, "metadata": metadata, "data": data}),), because="it was changed")


def _wakes(name: str, view: View, obj: Object) -> Iterable[Ref]:
    return (Ref("namespaces", "", namespace_of(obj)),) if name_of(obj) == name else ()


def certificate_controller(authority: str) -> Controller:
    """Return the controller that publishes this certificate (PEM) to every namespace."""
    return Controller(
        name="root-ca-certificate-publisher",
        kind="namespaces",
        wakes={"configmaps": partial(_wakes, ROOT_CERTIFICATE)},
        observe=partial(_observe, "configmaps", ROOT_CERTIFICATE),
        decide=partial(decide_certificate, authority),
    )


ACCOUNT_CONTROLLER = Controller(
    name="service-account-controller",
    kind="namespaces",
    wakes={"serviceaccounts": partial(_wakes, ACCOUNT)},
    observe=partial(_observe, "serviceaccounts", ACCOUNT),
    decide=decide_account,
)
