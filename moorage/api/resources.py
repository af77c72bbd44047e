"""Which resources this API serves: the built-in table and the custom ones that were added at run time."""

from collections.abc import Iterable, Mapping

from moorage.aio.signal import Signal
from moorage.objects.kinds import Resource, find_resource, group_versions, resources_in

#: Resources that are other views of one storage: their objects are the core ones, converted on the way out.
STORED_AS: Mapping[tuple[str, str], tuple[str, str]] = {("events.k8s.io", "events"): ("", "events")}


def storage_prefix(resource: Resource) -> str:
    """Return where the objects of a resource are kept: `group/plural`, `core/plural` for the core group."""
    group, plural = STORED_AS.get((resource.group, resource.plural), (resource.group, resource.plural))
    return f"{group or 'core'}/{plural}"


def prefix_of_id(resource_id: str) -> str:
    """Return the storage prefix of a resource id (`pods`, `statefulsets.apps`)."""
    plural, _, group = resource_id.partition(".")
    group, plural = STORED_AS.get((group, plural), (group, plural))
    return f"{group or 'core'}/{plural}"


def id_of_prefix(prefix: str) -> str:
    """Return the resource id whose objects are kept under a storage prefix."""
    group, _, plural = prefix.partition("/")
    return plural if group == "core" else f"{plural}.{group}"


class Resources:
    """The resources that are served, by group, version and plural."""

    def __init__(self) -> None:
        self._custom: dict[tuple[str, str, str], Resource] = {}
        #: Grows whenever the set of resources changes; what was derived from an older one is outdated.
        self.revision = 0
        #: Fired after each such change.
        self.changed = Signal()

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """Return one resource, None if it is not served."""
        return find_resource(group, version, plural) or self._custom.get((group, version, plural))

    def by_id(self, resource_id: str) -> Resource | None:
        """Return the preferred version of a resource by its id (`pods`, `statefulsets.apps`)."""
        plural, _, group = resource_id.partition(".")
        for api_version in group_versions():
            if api_version.rpartition("/")[0] == group and (found := resources_in(api_version).get(plural)):
                return found
        return next((row for key, row in self._custom.items() if key[0] == group and key[2] == plural), None)

    def all(self) -> Iterable[Resource]:
        """Return every resource in every version, built-in ones first, in the order of discovery."""
        for api_version in group_versions():
            yield from resources_in(api_version).values()
        yield from self._custom.values()

    def replace_custom(self, rows: Iterable[Resource]) -> None:
        """Serve exactly these custom resources; within a group the preferred version comes first."""
        self._custom = {(row.group, row.version, row.plural): row for row in rows}
        self.revision += 1
        self.changed.fire()
