"""What clients accept, as they really say it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.objects.errors import NotAcceptable
from moorage.server.negotiation import (
    JSON,
    YAML,
    Format,
    format_of_discovery,
    format_of_error,
    format_of_list,
    format_of_object,
    format_of_watch,
    is_pretty,
)

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PROTOBUF = "application/vnd.kubernetes.protobuf"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, Format(JSON)),
        ("", Format(JSON)),
        ("*/*", Format(JSON)),
        ("application/json, */*", Format(JSON)),
        (f"{PROTOBUF},application/json", Format(JSON)),
        (f"{PROTOBUF}, */*", Format(JSON)),
        (PROTOBUF, Format(JSON)),
        ("application/yaml", Format(YAML)),
        ("application/yaml;q=0.1, application/json", Format(JSON)),
        ("text/html,*/*;q=0.1", Format(JSON)),
        (f"{TABLE},application/json", Format(JSON, "Table", "v1")),
        ("application/json;as=Table;v=v2;g=meta.k8s.io,application/json", Format(JSON)),
        ("application/json; as=Table; v=v1beta1; g=meta.k8s.io", Format(JSON, "Table", "v1beta1")),
        (
            f"{PROTOBUF};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;"
            "g=meta.k8s.io;v=v1,application/json",
            Format(JSON, "PartialObjectMetadataList", "v1"),
        ),
    ],
)
def test_the_first_that_can_be_written_wins(accept, expected):
    assert format_of_object(accept) == expected


@pytest.mark.parametrize("accept", ["text/html", "application/cbor", "application/*"])
def test_other_media_types_are_refused_by_the_router(accept):
    with pytest.raises(NotAcceptable, match="406: Not Acceptable") as refusal:
        format_of_list(accept)
    assert refusal.value.details == {}
    assert refusal.value.message.endswith("application/vnd.kubernetes.protobuf;stream=watch")


@pytest.mark.parametrize(
    "parameters", ["as=Foo;v=v1;g=meta.k8s.io", "as=Table;v=v2;g=meta.k8s.io", "as=Table;v=v1;g=x"]
)
def test_other_conversions_are_refused_by_the_serializers(parameters):
    with pytest.raises(NotAcceptable, match="only the following media types are accepted") as refusal:
        format_of_object(f"application/json;{parameters}")
    assert refusal.value.details is None


def test_a_watch_cannot_be_yaml():
    with pytest.raises(NotAcceptable, match="application/json;stream=watch"):
        format_of_watch("application/yaml")
    assert format_of_watch(f"{TABLE},application/json").convert == "Table"


def test_aggregated_discovery_is_version_2_only():
    accept = "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"
    assert format_of_discovery(accept.format("v2"), aggregated=True).convert == "APIGroupDiscoveryList"
    assert format_of_discovery(f"{accept.format('v2beta1')},application/json", aggregated=True) == Format(JSON)
    for version, aggregated in (("v2beta1", True), ("v2", False)):
        with pytest.raises(NotAcceptable):
            format_of_discovery(accept.format(version), aggregated=aggregated)


@given(st.text(max_size=80))
def test_any_header_is_understood_or_refused(text):
    assert format_of_error(text).encoding in (JSON, YAML)


def test_people_get_indented_json():
    assert is_pretty({}, "curl/8.0")
    assert not is_pretty({}, "kubectl/v1.37")
    assert not is_pretty({"pretty": "0"}, "curl/8.0")
    assert is_pretty({"pretty": ""}, "kubectl")
