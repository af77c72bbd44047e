"""The Job controller: pods run to completion, and each is counted once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.controllers import job as jobs
from moorage.controllers.job.indexes import INDEX, parse_indexes, write_indexes
from moorage.objects.errors import forbidden
from moorage.objects.metadata import Ref, format_time, is_terminating
from moorage.objects.pods import JOB_FINALIZER, is_active
from tests.controllers.world import World, ready

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORK = Ref(jobs.RESOURCE, "default", "work")


class Scene:
    """One Job in a world, with the controller that has seen all of it."""

    def __init__(self, **spec: Any) -> None:
        self.world = World(NOW)
        self.controller = jobs.Jobs().controller()
        labels = {"job": "work"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c"}], "restartPolicy": "Never"}}
        whole = {"completions": 1, "parallelism": 1, "backoffLimit": 6, "selector": {"matchLabels": labels}}
        metadata = {"name": "work", "namespace": "default"}
        made = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata}
        self.world.create(jobs.RESOURCE, {**made, "spec": {**whole, "template": template, **spec}})

    @property
    def status(self) -> dict[str, Any]:
        return dict((self.world.get(jobs.RESOURCE, "default", "work") or {}).get("status") or {})

    @property
    def conditions(self) -> list[tuple[str, str]]:
        return [(each["type"], each["reason"]) for each in self.status.get("conditions", ())]

    def settle(self) -> float | None:
        """Run until nothing changes; returns when the rule wants to look again."""
        for _ in range(30):
            before = self.world.revision
            decision = self.world.run(self.controller, WORK)
            if self.world.revision == before:
                return decision.look_again_in
        raise AssertionError("does not settle")

    def active(self) -> list[str]:
        return [name for name, pod in self.world.pods().items() if is_active(pod)]

    def at(self, index: int) -> str:
        """Return the active pod at an index."""
        pods = self.world.pods()
        [name] = [each for each in self.active() if pods[each]["metadata"]["labels"][INDEX] == str(index)]
        return name

    def end(self, name: str, phase: str = "Succeeded", code: int = 0, **status: Any) -> None:
        state = {"terminated": {"exitCode": code, "finishedAt": format_time(self.world.now)}}
        self.world.set_status("pods", name, phase=phase, containerStatuses=[{"name": "c", "state": state}], **status)

    def fail(self, name: str, code: int = 1, **status: Any) -> None:
        self.end(name, "Failed", code, **status)

    def pass_time(self, seconds: float) -> None:
        self.world.now += timedelta(seconds=seconds)


def test_a_job_completes_once_its_pod_succeeded_and_was_counted() -> None:
    scene = Scene()
    scene.settle()
    [name] = scene.active()
    assert scene.world.pods()[name]["metadata"]["finalizers"] == [JOB_FINALIZER]
    assert scene.status == {
        "startTime": format_time(NOW),
        "active": 1,
        "ready": 0,
        "terminating": 0,
        "uncountedTerminatedPods": {},
    }
    scene.end(name)
    scene.settle()
    assert scene.conditions == [("SuccessCriteriaMet", "CompletionsReached"), ("Complete", "CompletionsReached")]
    assert scene.status["succeeded"] == 1
    assert "active" not in scene.status
    assert not scene.world.pods()[name]["metadata"].get("finalizers")
    assert scene.world.events[-1] == "Job completed"


def test_parallelism_limits_how_many_pods_run_at_once() -> None:
    scene = Scene(completions=5, parallelism=2)
    scene.settle()
    while scene.active():
        assert len(scene.active()) <= 2
        scene.end(scene.active()[0])
        scene.settle()
    assert scene.status["succeeded"] == 5


def test_a_work_queue_starts_nothing_after_the_first_success() -> None:
    scene = Scene(completions=None, parallelism=3)
    scene.settle()
    scene.end(scene.active()[0])
    scene.settle()
    assert (len(scene.active()), scene.conditions) == (2, [])


def test_a_failed_pod_is_replaced_after_a_wait_that_doubles() -> None:
    scene = Scene()
    for wait in (10, 20, 40):
        scene.settle()
        scene.fail(scene.active()[0])
        assert scene.settle() == wait
        assert not scene.active()
        scene.pass_time(wait)
    scene.settle()
    assert (len(scene.active()), scene.status["failed"]) == (1, 3)


def test_a_deleted_pod_counts_as_failed() -> None:
    scene = Scene()
    scene.settle()
    scene.world.delete("pods", "default", scene.active()[0])
    scene.settle()
    assert scene.status["failed"] == 1


def test_too_many_failures_end_the_job_and_what_still_runs() -> None:
    scene = Scene(backoffLimit=0, completions=2, parallelism=2)
    scene.settle()
    scene.fail(scene.active()[0])
    scene.settle()
    assert scene.conditions == [("FailureTarget", "BackoffLimitExceeded"), ("Failed", "BackoffLimitExceeded")]
    assert scene.status["failed"] == 2
    assert not scene.active()


def test_a_job_that_takes_too_long_fails() -> None:
    scene = Scene(activeDeadlineSeconds=30)
    assert scene.settle() == 30
    scene.pass_time(30)
    scene.settle()
    assert scene.conditions[-1] == ("Failed", "DeadlineExceeded")


def test_a_suspended_job_has_no_pods_and_starts_anew_when_resumed() -> None:
    scene = Scene(parallelism=2, completions=2)
    scene.settle()
    scene.world.patch(jobs.RESOURCE, "default", "work", {"spec": {"suspend": True}})
    scene.settle()
    assert scene.conditions == [("Suspended", "JobSuspended")]
    assert (scene.active(), scene.status.get("failed"), scene.status.get("startTime")) == ([], None, None)
    scene.pass_time(60)
    scene.world.patch(jobs.RESOURCE, "default", "work", {"spec": {"suspend": False}})
    scene.settle()
    assert scene.conditions == [("Suspended", "JobResumed")]
    assert scene.status["startTime"] == format_time(scene.world.now)
    assert len(scene.active()) == 2


def test_pods_of_an_indexed_job_know_their_index() -> None:
    scene = Scene(completionMode="Indexed", completions=2, parallelism=2)
    scene.settle()
    pod = scene.world.pods()[scene.at(1)]
    assert pod["metadata"]["generateName"] == "work-1-"
    assert pod["metadata"]["annotations"] == {INDEX: "1"}
    assert pod["spec"]["hostname"] == "work-1"
    assert pod["spec"]["containers"][0]["env"][0]["name"] == "JOB_COMPLETION_INDEX"
    scene.end(scene.at(1))
    scene.settle()
    assert (scene.status["completedIndexes"], scene.status["succeeded"]) == ("1", 1)


def test_each_index_has_its_own_limit_of_failures() -> None:
    scene = Scene(completionMode="Indexed", completions=2, parallelism=2, backoffLimitPerIndex=1)
    scene.settle()
    scene.fail(scene.at(0))
    assert scene.settle() == 10
    scene.pass_time(10)
    scene.settle()
    assert scene.world.pods()[scene.at(0)]["metadata"]["annotations"][jobs.failures.FAILURES] == "1"
    assert scene.status["failedIndexes"] == ""
    scene.fail(scene.at(0))
    scene.settle()
    assert scene.status["failedIndexes"] == "0"
    scene.end(scene.at(1))
    scene.settle()
    assert scene.conditions[-1] == ("Failed", "FailedIndexes")
    assert (scene.status["failed"], scene.status["succeeded"]) == (2, 1)


def test_an_exit_code_can_fail_the_whole_job() -> None:
    rule = {"action": "FailJob", "onExitCodes": {"containerName": "c", "operator": "In", "values": [42]}}
    scene = Scene(podFailurePolicy={"rules": [rule]})
    scene.settle()
    [name] = scene.active()
    scene.fail(name, 42)
    scene.settle()
    assert scene.status["conditions"][-1]["message"] == (
        f"Container c for pod default/{name} failed with exit code 42 matching FailJob rule at index 0"
    )


def test_an_ignored_failure_does_not_count() -> None:
    rule = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    scene = Scene(backoffLimit=0, podFailurePolicy={"rules": [rule]})
    scene.settle()
    scene.fail(scene.active()[0], conditions=[{"type": "DisruptionTarget", "status": "True"}])
    scene.settle()
    scene.pass_time(10)
    scene.settle()
    assert (len(scene.active()), scene.status.get("failed"), scene.conditions) == (1, None, [])


@pytest.mark.parametrize(
    "rule", [{"succeededIndexes": "0"}, {"succeededCount": 1}, {"succeededIndexes": "0-2", "succeededCount": 1}]
)
def test_a_success_policy_ends_the_job_early(rule: dict[str, Any]) -> None:
    scene = Scene(completionMode="Indexed", completions=3, parallelism=3, successPolicy={"rules": [rule]})
    scene.settle()
    scene.end(scene.at(0))
    scene.settle()
    assert scene.conditions == [("SuccessCriteriaMet", "SuccessPolicy"), ("Complete", "SuccessPolicy")]
    assert (scene.active(), scene.status["completedIndexes"], scene.status.get("failed")) == ([], "0", None)


def test_a_terminating_pod_is_replaced_only_once_it_failed_if_the_job_says_so() -> None:
    scene = Scene(podReplacementPolicy="Failed")
    scene.settle()
    [name] = scene.active()
    scene.world.delete("pods", "default", name)
    scene.settle()
    assert (scene.status["terminating"], len(scene.world.pods())) == (1, 1)
    scene.fail(name)
    scene.settle()
    assert (scene.status["terminating"], scene.status["failed"]) == (0, 1)


def test_refused_pods_are_not_counted_as_active() -> None:
    scene = Scene()
    scene.world.refuse = lambda verb, resource, obj: forbidden("pods", "", "x", "no") if resource == "pods" else None
    scene.world.run(scene.controller, WORK)
    assert "active" not in scene.status
    assert scene.status["startTime"] == format_time(NOW)


def test_ready_pods_are_counted() -> None:
    scene = Scene(completions=2, parallelism=2)
    scene.settle()
    ready(scene.world, scene.active()[0])
    scene.settle()
    assert (scene.status["active"], scene.status["ready"]) == (2, 1)


def test_a_job_of_another_manager_is_left_alone() -> None:
    scene = Scene(managedBy="example.com/other")
    scene.settle()
    assert (scene.status, scene.world.pods()) == ({}, {})


@given(st.sets(st.integers(0, 60)))
def test_indexes_are_read_as_they_were_written(indexes: set[int]) -> None:
    assert parse_indexes(write_indexes(indexes), 61) == indexes


def test_only_three_in_a_row_make_a_range() -> None:
    assert write_indexes([0, 1, 2, 4, 6, 7]) == "0-2,4,6,7"


@settings(max_examples=60, deadline=None)
@given(
    indexed=st.booleans(),
    completions=st.integers(1, 5),
    events=st.lists(st.tuples(st.sampled_from(["end", "fail", "delete", "wait"]), st.integers(0, 4)), max_size=25),
)
def test_whatever_happens_every_pod_is_counted_once(
    indexed: bool,
    completions: int,
    events: list[tuple[str, int]],
) -> None:
    mode = "Indexed" if indexed else "NonIndexed"
    scene = Scene(completionMode=mode, completions=completions, parallelism=3, backoffLimit=100)
    succeeded = failed = 0
    for event, number in events:
        active = scene.active()
        if event == "wait":
            scene.pass_time(700)
        elif number < len(active):
            succeeded += event == "end"
            failed += event != "end"
            match event:
                case "end":
                    scene.end(active[number])
                case "fail":
                    scene.fail(active[number])
                case _:
                    scene.world.delete("pods", "default", active[number])
        scene.settle()
        assert scene.status.get("succeeded", 0) == succeeded <= completions
        assert scene.status.get("failed", 0) == failed
        assert scene.status.get("active", 0) == len(scene.active()) <= min(3, completions - succeeded)
    assert not any(is_terminating(pod) for pod in scene.world.pods().values())
    assert bool(scene.conditions) == (succeeded == completions)
