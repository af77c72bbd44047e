"""The snapshot after many changes is the one that would be made anew."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from moorage.scheduler.demand import demand_of
from moorage.scheduler.snapshot import Snapshot
from moorage.scheduler.tallies import Query
from moorage.scheduler.terms import Selector, Whom
from tests.scheduler.cluster import make_node, make_pod, near, required

changes = st.lists(
    st.tuples(
        st.sampled_from(["set", "remove"]),
        st.integers(0, 4),
        st.sampled_from(["a", "b", "ghost"]),
        st.sampled_from(["x", "y"]),
        st.sampled_from(["1", "2"]),
    ),
    max_size=20,
)
QUERY = Query((Whom(Selector({"matchLabels": {"app": "x"}}), frozenset({"default"})),), alive=True)


def pod_of(number: int, app: str, cpu: str) -> dict[str, Any]:
    return make_pod(
        f"p{number}",
        labels={"app": app},
        requests={"cpu": cpu},
        ports=[{"containerPort": 1, "hostPort": 8000 + number}],
        affinity=required("podAntiAffinity", near("app", app)),
    )


@given(changes)
def test_sums_and_counters_are_those_of_a_recount(steps: list[Any]) -> None:
    snapshot, fresh = Snapshot(), Snapshot()
    for each in (snapshot, fresh):
        for name in "ab":
            each.set_node(make_node(name))
    snapshot.tally(QUERY)
    truth: dict[str, tuple[dict[str, Any], str]] = {}
    for verb, number, node, app, cpu in steps:
        pod = pod_of(number, app, cpu)
        uid = pod["metadata"]["uid"]
        if verb == "set":
            snapshot.set_pod(demand_of(pod), node)
            truth[uid] = (pod, node)
        else:
            snapshot.remove_pod(uid)
            truth.pop(uid, None)
    for pod, node in truth.values():
        fresh.set_pod(demand_of(pod), node)
    seen = demand_of(make_pod("seen", labels={"app": "x"}))
    for name in snapshot.places:
        one, other = snapshot.places[name], fresh.places[name]
        assert set(one.pods) == set(other.pods)
        assert one.requested.get("cpu", 0) == other.requested.get("cpu", 0)
        assert one.weights == other.weights
        assert one.ports == other.ports
    assert snapshot.tally(QUERY).counts == fresh.tally(QUERY).counts
    away = [sorted((each.term, each.counts) for each in s.tallies.keeping_away(seen)) for s in (snapshot, fresh)]
    assert [count for _, count in away[0]] == [count for _, count in away[1]]
    assert snapshot.least_priority == fresh.least_priority


def test_nodes_take_turns_between_zones() -> None:
    snapshot = Snapshot()
    for name, zone in (("a", "1"), ("b", "1"), ("c", "2"), ("d", "3"), ("e", "2")):
        snapshot.set_node(make_node(name, labels={"topology.kubernetes.io/zone": zone}))
    assert [place.name for place in snapshot.nodes] == ["a", "c", "d", "b", "e"]


def test_pods_of_a_node_that_is_gone_stay_known_until_they_are_gone() -> None:
    snapshot = Snapshot()
    snapshot.set_node(make_node("a"))
    pod = demand_of(make_pod("p"))
    snapshot.set_pod(pod, "a")
    snapshot.remove_node("a")
    assert snapshot.nodes == []
    assert snapshot.node_of(pod.uid) == "a"
    snapshot.remove_pod(pod.uid)
    assert snapshot.places == {}


def test_labels_of_namespaces_decide_whom_a_term_means() -> None:
    snapshot = Snapshot()
    snapshot.set_node(make_node("a"))
    snapshot.set_pod(demand_of(make_pod("p", namespace="blue", labels={"app": "x"})), "a")
    query = Query(
        (Whom(Selector({"matchLabels": {"app": "x"}}), frozenset(), Selector({"matchLabels": {"team": "b"}})),),
        alive=False,
    )
    assert snapshot.tally(query).total == 0
    snapshot.set_namespace("blue", {"team": "b"})
    assert snapshot.tally(query).counts == {"a": 1}
