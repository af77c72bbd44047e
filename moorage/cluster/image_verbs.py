"""What `moorage image` asks of the running cluster."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from moorage.cluster.control import ControlRefused, Verb
from moorage.node.images.store import ImageStore
from moorage.node.runtimes.runtime import RuntimeFailure


def image_verbs(store: Callable[[], ImageStore | None]) -> dict[str, Verb]:
    """Return the verbs over the store of the cluster's real nodes."""

    def opened() -> ImageStore:
        found = store()
        if found is None:
            raise ControlRefused("this cluster has no real nodes, so it keeps no images")
        return found

    async def load(request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        try:
            images = await opened().load(Path(request["path"]))
        except RuntimeFailure as error:
            raise ControlRefused(f"{request['path']} cannot be loaded: {error}") from error
        for image in images:
            for reference in image.references or (image.id,):
                yield {"reference": reference}

    async def listed(_: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        for image in opened().list():
            yield {"id": image.id, "references": list(image.references), "size": image.size_bytes}

    async def remove(request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        try:
            await opened().remove(request["reference"])
        except RuntimeFailure as error:
            raise ControlRefused(f"{request['reference']} cannot be removed: {error}") from error
        yield {"removed": request["reference"]}

    return {"image-load": load, "image-list": listed, "image-remove": remove}
