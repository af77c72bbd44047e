"""A read access to objects that a test holds (moorage.api.authorization.Revisions)."""


class ObjectsAtHand:
    """Objects by resource id; `put` adds one and counts a revision."""

    def __init__(self):
        self._objects = {}
        self._revisions = {}

    def put(self, resource, obj):
        metadata = obj["metadata"]
        self._objects.setdefault(resource, {})[metadata.get("namespace", ""), metadata["name"]] = obj
        self._revisions[resource] = self._revisions.get(resource, 0) + 1

    def get(self, resource, namespace, name):
        return self._objects.get(resource, {}).get((namespace, name))

    def list(self, resource, namespace=""):
        found = self._objects.get(resource, {}).items()
        return [obj for (home, _), obj in found if not namespace or home == namespace]

    def revision(self, resource):
        return self._revisions.get(resource, 0)
