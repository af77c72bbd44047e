"""Image references: what `nginx` means. Pure.

Source: github.com/distribution/reference (normalize.go, regexp.go), the rules that kubelet applies to `image`.
"""

import re
from typing import NamedTuple

from moorage.node.runtimes.runtime import RuntimeFailure

DEFAULT_REGISTRY = "docker.io"
NAME_LENGTH_MAX = 255

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])(?:\.(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]))*"
_REGISTRY = re.compile(rf"(?:{_HOST}|\[[A-Fa-f0-9:]+\])(?::[0-9]+)?")
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}")


class Reference(NamedTuple):
    """A normalised reference: registry and repository always, and a tag, a digest or both."""

    registry: str
    repository: str
    tag: str
    digest: str

    @property
    def name(self) -> str:
        """Registry and repository."""
        return f"{self.registry}/{self.repository}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}{'@' + self.digest if self.digest else ''}"


def parse_reference(text: str) -> Reference:
    """Return the normalised reference: `nginx` is docker.io/library/nginx:latest.

    Raises RuntimeFailure("InvalidImageName") with the words kubelet uses.
    """
    rest, has_digest, digest = text.partition("@")
    if has_digest and not _DIGEST.fullmatch(digest):
        raise _invalid(text, "invalid reference format")
    if has_digest and digest.startswith("sha256:") and len(digest) != 71:
        raise _invalid(text, "invalid checksum digest length")
    first, slash, path = rest.partition("/")
    registry = DEFAULT_REGISTRY
    if slash and ("." in first or ":" in first or first == "localhost" or first.lower() != first):
        registry, rest = first, path
    tag = ""
    if ":" in rest.rpartition("/")[2]:
        rest, _, tag = rest.rpartition(":")
        if not _TAG.fullmatch(tag):
            raise _invalid(text, "invalid reference format")
    _check_name(text, registry, rest)
    if registry == "index.docker.io":
        registry = DEFAULT_REGISTRY
    if registry == DEFAULT_REGISTRY and "/" not in rest:
        rest = f"library/{rest}"
    return Reference(registry, rest, tag or ("" if digest else "latest"), digest)


def _check_name(text: str, registry: str, repository: str) -> None:
    if not _REGISTRY.fullmatch(registry):
        raise _invalid(text, "invalid reference format")
    if not _PATH.fullmatch(repository):
        if _PATH.fullmatch(repository.lower()):
            raise _invalid(text, "invalid reference format: repository name must be lowercase")
        raise _invalid(text, "invalid reference format")
    if len(registry) + 1 + len(repository) > NAME_LENGTH_MAX:
        raise _invalid(text, f"repository name must not be more than {NAME_LENGTH_MAX} characters")


def _invalid(text: str, why: str) -> RuntimeFailure:
    return RuntimeFailure(
        "InvalidImageName",
        f'Failed to apply default image tag "{text}": couldn\'t parse image name "{text}": {why}',
        temporary=False,
    )
