"""Field selectors: which fields resources know, and what objects answer."""

import pytest

from moorage.objects.errors import BadRequest
from moorage.objects.field_selectors import fields_for, parse_field_selector, selectable_fields

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web-0", "namespace": "ns"},
    "spec": {"nodeName": "n1", "restartPolicy": "Always"},
    "status": {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]},
}


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("", True),
        ("metadata.name=web-0", True),
        (",metadata.name==web-0,,", True),
        ("metadata.name!=web-0", False),
        ("status.phase=Running,spec.host=n1", True),
        ("spec.hostNetwork=false", True),
        ("status.podIP=10.0.0.1", True),
        ("status.nominatedNodeName=", True),
    ],
)
def test_a_selector_takes_the_pod_whose_fields_meet_it(text, taken):
    assert parse_field_selector(text, "pods")(fields_for("pods", POD)) is taken


@pytest.mark.parametrize(
    ("text", "resource", "message"),
    [
        ("spec.priority=0", "pods", "field label not supported: spec.priority"),
        ("metadata.name = a", "pods", "field label not supported: metadata.name "),
        ("metadata.name", "pods", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
        ("metadata.name=a\\b", "pods", "invalid field selector: invalid escape sequence: \\b"),
        (
            "data.k=1",
            "configmaps",
            '"data.k" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
        ("status.x=1", "jobs.batch", 'field label "status.x" not supported for Job'),
        ("spec.x=1", "widgets.example.com", "field label not supported: spec.x"),
    ],
)
def test_a_selector_that_cannot_be_read_is_refused_in_upstreams_words(text, resource, message):
    with pytest.raises(BadRequest) as refusal:
        parse_field_selector(text, resource)
    assert refusal.value.message == message


def test_an_exact_name_can_be_read_off():
    assert parse_field_selector("metadata.name=a,metadata.namespace!=b", "pods").exact == {"metadata.name": "a"}


def test_events_answer_to_the_words_of_both_of_their_apis():
    event = {"metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "p"}, "source": {"component": "k"}}
    fields = fields_for("events", event)
    assert parse_field_selector("involvedObject.name=p,source=k", "events")(fields)
    assert parse_field_selector("regarding.name=p", "events.events.k8s.io")(fields)


def test_custom_resources_bring_fields_of_their_own():
    obj = {"metadata": {"name": "a"}, "spec": {"size": 3, "on": True}}
    fields = fields_for("widgets.example.com", obj, ("spec.size", "spec.on", "spec.gone"))
    selector = parse_field_selector("spec.size=3,spec.on=true", "widgets.example.com", ("spec.size", "spec.on"))
    assert selector(fields)
    assert fields["spec.gone"] == ""
    assert "spec.size" in selectable_fields("widgets.example.com", ("spec.size",))
