"""What servers of aggregated APIs say of their resources."""

from moorage.cluster.aggregation.fetching import from_legacy
from tests.cluster.aggregation.backend import RESOURCES


def test_a_list_of_resources_is_shown_as_aggregated_discovery_has_it() -> None:
    kind = {"group": "", "version": "", "kind": "Fish"}
    assert from_legacy(RESOURCES["resources"]) == [
        {
            "resource": "fish",
            "responseKind": kind,
            "scope": "Namespaced",
            "singularResource": "fish",
            "verbs": ["get", "list", "watch", "create"],
            "shortNames": ["fi"],
            "subresources": [{"subresource": "status", "responseKind": kind, "verbs": ["get"]}],
        }
    ]
