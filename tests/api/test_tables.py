"""Tables show every kind, and what custom columns ask for."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.api.tables import Tables
from moorage.objects.ages import human_duration
from moorage.objects.kinds import builtin, group_versions, resources_in

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TABLES = Tables()
#: Kinds whose rows are not written by rules of their own.
UNSHOWN = {
    "componentstatuses",
    "apiservices.apiregistration.k8s.io",
    "podcertificaterequests.certificates.k8s.io",
    "ipaddresses.networking.k8s.io",
    "devicetaintrules.resource.k8s.io",
    "storageversionmigrations.storagemigration.k8s.io",
}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (119, "119s"),
        (330, "5m30s"),
        (600, "10m"),
        (3 * 3600, "3h"),
        (100 * 3600, "4d4h"),
        (400 * 86400, "400d"),
    ],
)
def test_ages_have_two_units_at_most(seconds: int, text: str) -> None:
    assert human_duration(seconds) == text


@given(st.floats(min_value=0, max_value=1e10))
def test_every_duration_can_be_shown(seconds: float) -> None:
    assert human_duration(seconds)[-1] in "smhdy"


def test_an_empty_object_of_every_kind_has_a_row_as_wide_as_its_columns() -> None:
    for api_version in group_versions():
        for resource in resources_in(api_version).values():
            if resource.id in UNSHOWN:
                continue
            obj = {"metadata": {"name": "x", "creationTimestamp": "2025-12-31T00:00:00Z"}}
            assert len(TABLES.cells(resource, "", obj, NOW)) == len(TABLES.columns(resource, "")), resource.id


def test_a_config_map_shows_how_many_keys_it_has() -> None:
    created = (NOW - timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    obj = {"metadata": {"name": "c", "creationTimestamp": created}, "data": {"a": "1"}}
    assert list(TABLES.cells(builtin("configmaps"), "", obj, NOW)) == ["c", 1, "5m"]
