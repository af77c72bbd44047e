"""The DaemonSet controller: a pod on each node that the template takes."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.controllers import daemonset
from moorage.controllers.daemonset.placement import GENERATION, node_name_of, tolerations_for
from moorage.objects.metadata import Object, Ref
from tests.controllers.world import World, ready, unready

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=1)
AGENT = Ref(daemonset.RESOURCE, "default", "agent")


class Scene:
    """A DaemonSet in a world with nodes."""

    def __init__(self, nodes: int = 3, **spec: Any) -> None:
        self.world = World(NOW)
        self.controller = daemonset.DaemonSets().controller()
        for number in range(nodes):
            self.add_node(f"n{number}")
        labels = {"app": "agent"}
        template = {"metadata": {"labels": {**labels, "v": "1"}}, "spec": {"containers": [{"name": "c"}]}}
        whole = {"selector": {"matchLabels": labels}, "template": template, "revisionHistoryLimit": 10, **spec}
        metadata = {"name": "agent", "namespace": "default", "annotations": {GENERATION: "1"}}
        made = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": whole}
        self.world.create(daemonset.RESOURCE, made)

    @property
    def status(self) -> dict[str, Any]:
        return dict((self.world.get(daemonset.RESOURCE, "default", "agent") or {}).get("status") or {})

    def add_node(self, name: str, **spec: Any) -> None:
        self.world.create("nodes", {"metadata": {"name": name, "labels": {"node": name}}, "spec": spec})

    def change(self, version: str) -> None:
        patch = {"spec": {"template": {"metadata": {"labels": {"v": version}}}}}
        patch["metadata"] = {"annotations": {GENERATION: version}}
        self.world.patch(daemonset.RESOURCE, "default", "agent", patch)

    def turn(self) -> float | None:
        return self.world.run(self.controller, AGENT).look_again_in

    def settle(self, *, become_ready: bool = True) -> None:
        for _ in range(60):
            before = self.world.revision
            self.turn()
            for name, pod in self.world.pods().items():
                if become_ready and "status" in pod and pod["status"].get("phase") == "Pending":
                    ready(self.world, name, LONG_AGO)
            if self.world.revision == before:
                return
        raise AssertionError("does not settle")

    def versions(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for pod in self.world.pods().values():
            found.setdefault(node_name_of(pod), []).append(pod["metadata"]["labels"]["v"])
        return found


def counts(desired: int, ready: int, updated: int) -> dict[str, int]:
    found = {
        "currentNumberScheduled": desired,
        "numberMisscheduled": 0,
        "desiredNumberScheduled": desired,
        "numberReady": ready,
        "observedGeneration": 1,
        "updatedNumberScheduled": updated,
        "numberAvailable": ready,
        "numberUnavailable": desired - ready,
    }
    return {key: number for key, number in found.items() if number or key in daemonset.rollout._COUNTERS[:4]}


def test_every_node_gets_a_pod_that_is_meant_for_it() -> None:
    scene = Scene()
    scene.turn()
    assert sorted(scene.versions()) == ["n0", "n1", "n2"]
    pod = next(iter(scene.world.pods().values()))
    assert pod["metadata"]["labels"]["pod-template-generation"] == "1"
    [revision] = scene.world.list("controllerrevisions.apps")
    assert revision["metadata"]["name"] == f"agent-{pod['metadata']['labels']['controller-revision-hash']}"
    scene.settle()
    assert scene.status == counts(3, 3, 3)


def test_a_new_node_gets_a_pod_and_a_node_that_is_not_wanted_loses_it() -> None:
    scene = Scene(1)
    scene.settle()
    scene.add_node("n9")
    scene.settle()
    assert sorted(scene.versions()) == ["n0", "n9"]
    template = {"template": {"spec": {"nodeSelector": {"node": "n9"}}}}
    scene.world.patch(daemonset.RESOURCE, "default", "agent", {"spec": template})
    scene.settle()
    assert sorted(scene.versions()) == ["n9"]


def test_taints_keep_pods_away_but_cordons_do_not() -> None:
    scene = Scene(0)
    scene.add_node("cordoned", taints=[{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}])
    scene.add_node("tainted", taints=[{"key": "k", "effect": "NoSchedule"}])
    scene.settle()
    assert sorted(scene.versions()) == ["cordoned"]


def test_a_pod_stays_when_its_node_only_takes_no_new_ones() -> None:
    scene = Scene(1)
    scene.settle()
    for effect, left in (("NoSchedule", 1), ("NoExecute", 0)):
        scene.world.patch("nodes", "", "n0", {"spec": {"taints": [{"key": "k", "effect": effect}]}})
        scene.settle()
        assert len(scene.world.pods()) == left
        assert scene.status["desiredNumberScheduled"] == 0


def test_a_failed_pod_is_replaced_at_once_the_first_time_then_after_a_wait() -> None:
    scene = Scene(1)
    for wait in (None, 1, 2, 4):
        scene.settle()
        [name] = scene.world.pods()
        unready(scene.world, name, phase="Failed")
        assert scene.turn() == wait
        if wait:
            assert name in scene.world.pods()
            scene.world.now += timedelta(seconds=wait)
            scene.turn()
        assert name not in scene.world.pods()


def test_an_update_leaves_at_most_one_node_without_a_pod() -> None:
    scene = Scene()
    scene.settle()
    scene.change("2")
    for _ in range(30):
        scene.turn()
        assert len(scene.world.pods()) >= 2
        for name, pod in scene.world.pods().items():
            if pod["status"]["phase"] == "Pending":
                ready(scene.world, name, LONG_AGO)
    assert scene.versions() == {name: ["2"] for name in ("n0", "n1", "n2")}


def test_an_update_waits_for_the_new_pod_to_be_available() -> None:
    scene = Scene()
    scene.settle()
    scene.change("2")
    scene.settle(become_ready=False)
    assert sorted(each for versions in scene.versions().values() for each in versions) == ["1", "1", "2"]


def test_with_surge_the_new_pod_comes_before_the_old_one_goes() -> None:
    scene = Scene(updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    scene.settle()
    scene.change("2")
    scene.settle(become_ready=False)
    assert sorted(map(sorted, scene.versions().values())) == [["1"], ["1"], ["1", "2"]]
    scene.settle()
    assert scene.versions() == {name: ["2"] for name in ("n0", "n1", "n2")}


def test_on_delete_changes_only_what_somebody_deletes() -> None:
    scene = Scene(2, updateStrategy={"type": "OnDelete"})
    scene.settle()
    scene.change("2")
    scene.settle()
    assert scene.status["currentNumberScheduled"] == 2
    assert "updatedNumberScheduled" not in scene.status
    scene.world.delete("pods", "default", next(iter(scene.world.pods())))
    scene.settle()
    assert sorted(each for versions in scene.versions().values() for each in versions) == ["1", "2"]


def test_going_back_to_a_former_template_reuses_its_revision() -> None:
    scene = Scene(1)
    scene.settle()
    for version in ("2", "1"):
        scene.change(version)
        scene.settle()
    found = scene.world.list("controllerrevisions.apps")
    assert sorted(each["revision"] for each in found) == [2, 3]


def test_revisions_beyond_the_limit_are_forgotten() -> None:
    scene = Scene(1, revisionHistoryLimit=1)
    for version in ("1", "2", "3", "4"):
        scene.change(version)
        scene.settle()
    assert len(scene.world.list("controllerrevisions.apps")) == 2


def test_a_daemon_pod_tolerates_what_befalls_nodes() -> None:
    mine = {"key": "mine", "operator": "Exists"}
    keys = [each["key"] for each in tolerations_for({"tolerations": [mine], "hostNetwork": True})]
    assert keys[0] == "mine"
    assert len(keys) == 8


def test_a_node_wakes_only_the_sets_that_it_concerns() -> None:
    scene = Scene(1)
    wake = scene.controller.wakes["nodes"]
    node: Object = scene.world.get("nodes", "", "n0") or {}
    assert list(wake(scene.world, node)) == [AGENT]
    scene.settle()
    for name in scene.world.pods():
        scene.world.patch("pods", "default", name, {"spec": {"nodeName": "n0"}})
    assert list(wake(scene.world, node)) == []


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["add", "remove", "kill", "fail", "change"]), st.integers(0, 4)), max_size=12)
)
def test_whatever_happens_each_node_comes_to_have_one_present_pod(events: list[tuple[str, int]]) -> None:
    scene = Scene(2)
    for event, number in events:
        name, nodes, pods = f"n{number}", scene.world.list("nodes"), list(scene.world.pods())
        if event == "add" and scene.world.get("nodes", "", name) is None:
            scene.add_node(name)
        elif event == "remove" and scene.world.get("nodes", "", name) is not None and len(nodes) > 1:
            scene.world.delete("nodes", "", name)
        elif event == "change":
            scene.change(str(number))
        elif event in {"kill", "fail"} and number < len(pods):
            scene.world.delete("pods", "default", pods[number])
        scene.turn()
    scene.settle()
    workload: Object = scene.world.get(daemonset.RESOURCE, "default", "agent") or {}
    version = workload["spec"]["template"]["metadata"]["labels"]["v"]
    assert scene.versions() == {each["metadata"]["name"]: [version] for each in scene.world.list("nodes")}
