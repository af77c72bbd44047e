"""What ties EndpointSlices to their service, for all who look for them."""

from collections.abc import Iterable
from typing import Final

from moorage.objects.metadata import Object, labels_of

SLICES: Final = "endpointslices.discovery.k8s.io"

#: The label of a slice that names its service.
SERVICE_NAME: Final = "kubernetes.io/service-name"


def slices_of(service: str, slices: Iterable[Object]) -> list[Object]:
    """Return those slices of a namespace that belong to the service of this name."""
    return [each for each in slices if labels_of(each).get(SERVICE_NAME) == service]
