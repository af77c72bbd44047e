"""The rules as pure functions: what they say about objects alone, and that no object makes them stumble."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.objects.metadata import Object, Ref
from moorage.why.cause import TEXT_MOST, Cause, cut, kubectl
from moorage.why.chain import LINES_MOST, Answer, Link, explain
from moorage.why.refusals import explain as explain_refusal
from moorage.why.rules import RULES
from moorage.why.scheduling import tell
from moorage.why.world import Missing, Read, Unreadable, World

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (
            "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable. preemption: 0/3 nodes are"
            " available: 3 Preemption is not helpful for scheduling.",
            "none of 3 nodes takes it: 1 has too little cpu left, 2 are cordoned",
        ),
        (
            "0/1 nodes are available: 1 node(s) had untolerated taint(s).",
            "the only node does not take it: 1 has a taint that it does not tolerate",
        ),
        (
            "0/2 nodes are available: 2 node(s) had something new, and worse.",
            "none of 2 nodes takes it: 2 had something new, and worse",
        ),
        ("no nodes available to schedule pods", "no nodes available to schedule pods"),
    ],
)
def test_the_schedulers_reasons_become_a_sentence(message: str, sentence: str) -> None:
    assert tell(message) == sentence


@pytest.mark.parametrize(
    ("message", "holder"),
    [
        (
            'pods "a" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=1, limited: pods=1',
            Ref("resourcequotas", "shop", "compute"),
        ),
        (
            'pods "a" is forbidden: error looking up service account shop/robot: serviceaccount "robot" not found',
            Ref("serviceaccounts", "shop", "robot"),
        ),
        (
            'pods "a" is forbidden: no PriorityClass with name urgent was found',
            Ref("priorityclasses.scheduling.k8s.io", "", "urgent"),
        ),
        (
            'admission webhook "check.example.com" denied the request: no',
            Ref("validatingwebhookconfigurations.admissionregistration.k8s.io", "", "checks"),
        ),
        (
            'Internal error occurred: failed calling webhook "check.example.com": connection refused',
            Ref("validatingwebhookconfigurations.admissionregistration.k8s.io", "", "checks"),
        ),
        ("something else", None),
    ],
)
def test_a_refusal_names_who_stands_behind_it(message: str, holder: Ref | None) -> None:
    world = World(NOW)
    group = "admissionregistration.k8s.io"
    world.add(Read(f"mutatingwebhookconfigurations.{group}", ""), ())
    checks = {"metadata": {"name": "checks"}, "webhooks": [{"name": "check.example.com"}]}
    world.add(Read(f"validatingwebhookconfigurations.{group}", ""), (checks,))
    cause = explain_refusal("cannot create pods", message, "shop", world, "kubectl x")
    assert cause.holder == holder
    assert cause.says.startswith("cannot create pods")


def test_what_was_not_read_is_asked_for_and_what_was_refused_is_told() -> None:
    world = World(NOW)
    with pytest.raises(Missing) as missing:
        world.get(Ref("nodes", "", "a"))
    assert missing.value.read == Read("nodes", "", "a")
    world.add(Read("nodes", "", "a"), "nodes is forbidden")
    with pytest.raises(Unreadable):
        world.get(Ref("nodes", "", "a"))


def test_a_loop_of_objects_that_wait_for_each_other_ends() -> None:
    world = World(NOW)
    claim = {
        "metadata": {"name": "data", "namespace": "default", "uid": "1"},
        "spec": {"storageClassName": "late"},
        "status": {"phase": "Pending"},
    }
    pod = {
        "metadata": {"name": "user", "namespace": "default", "uid": "2"},
        "spec": {"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]},
        "status": {
            "phase": "Pending",
            "conditions": [
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "message": "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
                }
            ],
        },
    }
    world.add(Read("pods", "default"), (pod,))
    world.add(Read("pods", "default", "user"), (pod,))
    world.add(Read("persistentvolumeclaims", "default", "data"), (claim,))
    late = {"metadata": {"name": "late"}, "volumeBindingMode": "WaitForFirstConsumer", "provisioner": "x"}
    world.add(Read("storageclasses.storage.k8s.io", "", "late"), (late,))
    answer = explain(Ref("pods", "default", "user"), pod, world)
    assert [link.ref.name for link in answer.links] == ["user", "data"]


names = st.sampled_from(["a", "b-1", "web-0"])
words = st.sampled_from(["", "True", "False", "Unknown", "Pending", "Running", "Failed", "Bound", "Lost", "Released"])
conditions = st.lists(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["Ready", "PodScheduled", "Available", "Failed", "NamespaceContentRemaining"]),
            "status": words,
        },
        optional={
            "reason": words,
            "message": st.sampled_from(["", "a\nb", "0/1 nodes are available: 1 x.", "pods. has 1 resource instances"]),
        },
    ),
    max_size=3,
)


@st.composite
def objects(draw: st.DrawFn) -> Object:
    """Return an object with little in it, as a user may post it and a status that may lack anything."""
    metadata: dict[str, Any] = {"name": draw(names), "namespace": "default", "uid": draw(names)}
    if draw(st.booleans()):
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        metadata["finalizers"] = draw(st.lists(st.sampled_from(["x/y", "foregroundDeletion"]), max_size=2))
    spec: dict[str, Any] = draw(
        st.fixed_dictionaries(
            {"template": st.just({"spec": {}}), "selector": st.just({"app": "a"})},
            optional={
                "nodeName": names,
                "replicas": st.integers(0, 3),
                "schedule": st.sampled_from(["* * * * *", "nonsense"]),
                "volumeName": names,
                "storageClassName": names,
                "suspend": st.booleans(),
                "paused": st.booleans(),
            },
        )
    )
    return {"metadata": metadata, "spec": spec, "status": {"phase": draw(words), "conditions": draw(conditions)}}


@given(st.sampled_from([*sorted(RULES), "namespaces", "configmaps"]), objects(), st.sampled_from(["none", "refused"]))
def test_every_rule_answers_about_every_object(resource: str, obj: Object, others: str) -> None:
    world = World(NOW)
    ref = Ref(resource, "default", obj["metadata"]["name"])
    while True:
        try:
            answer = explain(ref, obj, world)
            break
        except Missing as missing:
            world.add(missing.read, () if others == "none" else "forbidden")
    lines = answer.lines()
    assert 1 <= len(lines) <= LINES_MOST
    assert all("\n" not in line for line in lines)


@given(st.integers(1, 9), st.booleans())
def test_however_long_a_chain_is_its_answer_has_five_lines_and_every_link(links: int, has_command: bool) -> None:
    chain = tuple(Link(Ref("pods", "default", f"p{number}"), "waits") for number in range(links))
    lines = Answer(chain, is_wrong=True, command="kubectl x" if has_command else "").lines()
    assert len(lines) <= LINES_MOST
    assert all(f"p{number}" in "".join(lines) for number in range(links))


@given(st.text())
def test_messages_become_one_line_of_a_bearable_length(text: str) -> None:
    assert len(cut(text)) <= TEXT_MOST
    assert cut(text).splitlines() in ([cut(text)], [])


def test_commands_name_the_namespace_unless_it_is_the_usual_one() -> None:
    assert kubectl("get pods", "shop") == "kubectl -n shop get pods"
    assert kubectl("get pods", "default") == kubectl("get pods") == "kubectl get pods"
    assert Cause("is Pending").holder is None
