"""What somebody wants to do: the question that authorization answers, and that expressions put together."""

from typing import NamedTuple


class Attributes(NamedTuple):
    """What is to be authorized. `path` is set for pages that are no resources, and then nothing else but the verb."""

    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
