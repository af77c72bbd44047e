"""Whether a container may run as the user that it would run as. Pure.

Source: pkg/kubelet/kuberuntime/security_context.go, verifyRunAsNonRoot (v1.37).
"""

from moorage.objects.metadata import Object, name_of, namespace_of, uid_of


def check_user(pod: Object, container: Object, image_user: str) -> None:
    """Raise ValueError when runAsNonRoot is asked for and cannot be kept. image_user: as the image has it."""
    security = {**(pod["spec"].get("securityContext") or {}), **(container.get("securityContext") or {})}
    if not security.get("runAsNonRoot"):
        return
    where = f'(pod: "{name_of(pod)}_{namespace_of(pod)}({uid_of(pod)})", container: {container["name"]})'
    user = security.get("runAsUser")
    if user is not None:
        if user == 0:
            raise ValueError(f"container's runAsUser breaks non-root policy {where}")
        return
    name = image_user.partition(":")[0]
    if name and not name.isdigit():
        raise ValueError(
            f"container has runAsNonRoot and image has non-numeric user ({name}), cannot verify user is non-root {where}"
        )
    if not name or int(name) == 0:
        raise ValueError(f"container has runAsNonRoot and image will run as root {where}")
