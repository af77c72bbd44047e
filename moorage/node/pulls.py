"""The images of one pod: looked up, fetched beside the pod's loop, tried again with back-off.

Source of the texts: pkg/kubelet/images/image_manager.go (v1.37).
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from moorage.client.client import Target
from moorage.node.environment import texts_of
from moorage.node.images.registry import docker_credentials
from moorage.node.observed import BackOffPull, ImageWork, PullImage
from moorage.node.restarts import PULL
from moorage.node.runtimes.runtime import RuntimeFailure
from moorage.node.tools import Tools
from moorage.objects.errors import NotFound
from moorage.objects.metadata import Object, namespace_of

#: registry → (user, password)
Credentials = dict[str, tuple[str, str]]


class Pulls:
    """How far the images of a pod are, by reference. `wake` is called when something has changed behind the loop."""

    def __init__(self, tools: Tools, wake: Callable[[], None]) -> None:
        self.images: dict[str, ImageWork] = {}
        self._tools = tools
        self._wake = wake

    def forget(self, reference: str) -> None:
        """Look for the image anew at the next start."""
        self.images.pop(reference, None)

    def arrived(self, is_same: Callable[[str], bool]) -> None:
        """Images were loaded: try what waited for one of them at once."""
        for reference, work in list(self.images.items()):
            if not work.id and not work.pulling and is_same(reference):
                self.images[reference] = replace(work, retry_at=None)
                self._wake()

    async def pull(self, pod: Object, container: Object, step: PullImage) -> None:
        """Take the image if it is here, else begin to fetch it."""
        policy = container.get("imagePullPolicy") or "IfNotPresent"
        before = self.images.get(step.reference, ImageWork())
        if await self._present(pod, container, step, again=policy == "Always"):
            return
        if policy == "Never":
            text = f'Container image "{step.reference}" is not present with pull policy of Never'
            self._not_pulled(pod, container, step, RuntimeFailure("ErrImageNeverPull", text))
            return
        self.images[step.reference] = replace(before, pulling=True)
        self._tools.tasks.start(f"pull/{step.reference}", self._fetch(pod, container, step))

    def back_off(self, pod: Object, container: Object, step: BackOffPull) -> None:
        """Show that the next pull has to wait."""
        work = self.images[step.reference]
        text = f'Back-off pulling image "{step.reference}"'
        self._tools.tell(pod, "Normal", "BackOff", text, container)
        self._tools.tell(pod, "Warning", "Failed", "Error: ImagePullBackOff", container)
        message = f"{text}: {work.reason}: {work.message}"
        self.images[step.reference] = replace(work, reason="ImagePullBackOff", message=message)

    async def _present(self, pod: Object, container: Object, step: PullImage, *, again: bool) -> bool:
        """Take the image if it is here; an unreadable name counts as a failed pull.

        again: ask the registry whether there is a newer one. An image that was loaded has no registry to ask: it is
        the answer for its name.
        """
        try:
            image = await self._tools.runtime.image_status(step.reference)
        except RuntimeFailure as error:
            self._not_pulled(pod, container, step, error)
            return True
        if image is None or (again and image.digest):
            return False
        self.images[step.reference] = ImageWork(id=image.id)
        text = f'Container image "{step.reference}" already present on machine and can be accessed by the pod'
        self._tools.tell(pod, "Normal", "Pulled", text, container)
        return True

    async def _fetch(self, pod: Object, container: Object, step: PullImage) -> None:
        began = self._tools.clock.monotonic()
        self._tools.tell(pod, "Normal", "Pulling", f'Pulling image "{step.reference}"', container)
        try:
            image = await self._tools.runtime.pull_image(step.reference, await self._credentials(pod))
        except RuntimeFailure as error:
            self._not_pulled(pod, container, step, error)
        except Exception as error:
            self._not_pulled(pod, container, step, RuntimeFailure("ErrImagePull", str(error)))
            raise
        else:
            self.images[step.reference] = ImageWork(id=image.id)
            took = f"{self._tools.clock.monotonic() - began:.3f}s"
            text = f'Successfully pulled image "{step.reference}" in {took} ({took} including waiting).'
            self._tools.tell(pod, "Normal", "Pulled", f"{text} Image size: {image.size_bytes} bytes.", container)
        self._wake()

    def _not_pulled(self, pod: Object, container: Object, step: PullImage, error: RuntimeFailure) -> None:
        now, message = self._tools.clock.now(), str(error)
        failures = self.images.get(step.reference, ImageWork()).failures + 1
        reason = "ErrImagePull" if error.reason == "RegistryUnavailable" else error.reason
        due = now + timedelta(seconds=PULL.delay(failures))
        self.images[step.reference] = ImageWork("", False, reason, message, failures, now, due)  # noqa: FBT003
        if reason == "ErrImagePull":
            text = f'Failed to pull image "{step.reference}": {message}'
            self._tools.tell(pod, "Warning", "Failed", text, container)
        else:
            shown = reason if reason == "ErrImageNeverPull" else "InspectFailed"
            self._tools.tell(pod, "Warning", shown, message, container)
        self._tools.tell(pod, "Warning", "Failed", f"Error: {reason}", container)

    async def _credentials(self, pod: Object) -> Credentials:
        """Return what the pod's imagePullSecrets say; one that is missing is told, and the pull is tried without."""
        found: Credentials = {}
        for each in pod["spec"].get("imagePullSecrets") or ():
            name = each.get("name") or ""
            try:
                secret = await self._tools.client.get(Target("secrets", namespace_of(pod), name))
            except NotFound:
                text = f"Unable to retrieve some image pull secrets ({name}); attempting to pull the image may not succeed."
                self._tools.tell(pod, "Warning", "FailedToRetrieveImagePullSecret", text)
                continue
            found |= docker_credentials(texts_of(secret).get(".dockerconfigjson", "").encode())
        return found
