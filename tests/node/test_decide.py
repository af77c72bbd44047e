"""What a node does about a pod, played against a world that does what it is told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.node.decide import decide
from moorage.node.observed import (
    BackOffPull,
    Failure,
    Forget,
    ImageWork,
    Observed,
    PrepareMounts,
    ProbeState,
    PullImage,
    RunSandbox,
    StartContainer,
    StopContainer,
    StopSandbox,
    Streak,
)
from moorage.node.restarts import SHOWN_SECONDS, streak_after
from moorage.node.runtimes.runtime import ContainerState, SandboxState

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def pod(*containers: str, inits: tuple[str, ...] = (), policy: str = "Always", **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "ns", "uid": "u", "resourceVersion": "1", **metadata},
        "spec": {
            "nodeName": "n",
            "restartPolicy": policy,
            "terminationGracePeriodSeconds": 30,
            "containers": [{"name": name, "image": "i"} for name in containers or ("c",)],
            **({"initContainers": [{"name": name, "image": "i"} for name in inits]} if inits else {}),
        },
    }


class World:
    """A runtime in memory: does each step at once, and lets containers end when told to."""

    def __init__(self, obj: dict[str, Any]) -> None:
        self.seen = Observed(obj, "10.0.0.1")
        self.now = NOW
        self.history: list[str] = []
        self.gone = False

    def state(self, name: str, attempt: int = 0, **changes: Any) -> None:
        sandbox = self.seen.sandbox
        assert sandbox is not None
        others = [each for each in sandbox.containers if (each.name, each.attempt) != (name, attempt)]
        old = next((each for each in sandbox.containers if (each.name, each.attempt) == (name, attempt)), None)
        fresh = replace(
            old or ContainerState(name, attempt, f"{name}-{attempt}", "running", started_at=self.now.timestamp()),
            **changes,
        )
        self.seen = replace(self.seen, sandbox=replace(sandbox, containers=(*others, fresh)))

    def end(self, name: str, code: int = 0) -> None:
        latest = self.seen.latest(name)
        assert latest is not None
        self.state(name, latest.attempt, state="exited", exit_code=code, finished_at=self.now.timestamp())
        ended = self.seen.latest(name)
        assert ended is not None
        self.seen = replace(
            self.seen, streaks={**self.seen.streaks, name: streak_after(self.seen.streaks.get(name, Streak()), ended)}
        )

    def settle(self, most: int = 50) -> Any:
        for _ in range(most):
            decision = decide(self.seen, self.now)
            self.seen = replace(self.seen, pod={**self.seen.pod, "status": decision.status})
            if not decision.steps or self.gone:
                return decision
            for step in decision.steps:
                self.perform(step)
        raise AssertionError(f"does not settle: {self.history[-10:]}")

    def perform(self, step: Any) -> None:
        self.history.append(type(step).__name__ + (f" {step.container}" if hasattr(step, "container") else ""))
        match step:
            case PrepareMounts():
                self.seen = replace(self.seen, mounts="ready")
            case RunSandbox():
                self.seen = replace(self.seen, sandbox=SandboxState("u", "p", "ns", "10.124.1.2", ready=True))
            case PullImage():
                self.seen = replace(self.seen, images={**self.seen.images, step.reference: ImageWork(id="sha256:1")})
            case StartContainer():
                self.state(step.container, step.attempt)
            case StopContainer():
                self.end(step.container, 143)
            case StopSandbox():
                assert self.seen.sandbox is not None
                self.seen = replace(self.seen, sandbox=replace(self.seen.sandbox, ready=False))
            case Forget():
                self.gone = True


def test_a_pod_comes_up_in_order_and_is_ready() -> None:
    world = World(pod("a", "b", inits=("one", "two")))
    world.settle()
    assert world.history == ["PrepareMounts", "RunSandbox", "PullImage one", "StartContainer one"]
    world.end("one")
    world.settle()
    assert world.history[-1] == "StartContainer two"
    world.end("two")
    status = world.settle().status
    assert world.history[-2:] == ["StartContainer a", "StartContainer b"]
    assert status["phase"] == "Running"
    assert {each["type"]: each["status"] for each in status["conditions"]} == dict.fromkeys(
        ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"), "True"
    )
    assert (status["podIP"], status["hostIP"]) == ("10.124.1.2", "10.0.0.1")


def test_an_attempt_that_was_made_but_not_started_is_started_as_itself() -> None:
    world = World(pod())
    world.settle()
    world.end("c", 1)
    world.state("c", 1, state="created", started_at=0.0)
    started = [step for step in decide(world.seen, world.now).steps if isinstance(step, StartContainer)]
    assert [step.attempt for step in started] == [1]


def test_the_first_crash_restarts_at_once_and_the_second_waits() -> None:
    world = World(pod())
    world.settle()
    world.end("c", 1)
    status = world.settle().status
    assert status["containerStatuses"][0]["restartCount"] == 1
    assert status["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 1
    world.end("c", 1)
    decision = world.settle()
    waiting = decision.status["containerStatuses"][0]["state"]["waiting"]
    assert waiting["reason"] == "CrashLoopBackOff"
    assert waiting["message"].startswith("back-off 10s restarting failed container=c pod=p_ns(u)")
    assert decision.look_again_in == pytest.approx(10)
    world.now += timedelta(seconds=10)
    assert world.settle().status["containerStatuses"][0]["restartCount"] == 2


@pytest.mark.parametrize(
    ("policy", "code", "phase"),
    [
        ("Never", 0, "Succeeded"),
        ("Never", 3, "Failed"),
        ("OnFailure", 0, "Succeeded"),
        ("OnFailure", 3, "Running"),
        ("Always", 0, "Running"),
    ],
)
def test_the_restart_policy_says_how_a_pod_ends(policy: str, code: int, phase: str) -> None:
    world = World(pod(policy=policy))
    world.settle()
    world.end("c", code)
    assert world.settle().status["phase"] == phase
    if phase != "Running":
        assert world.history[-1] == "StopSandbox"


def test_an_init_container_that_fails_for_good_fails_the_pod() -> None:
    world = World(pod(inits=("one",), policy="Never"))
    world.settle()
    world.end("one", 2)
    assert world.settle().status["phase"] == "Failed"
    assert "StartContainer c" not in world.history


def test_a_sidecar_runs_beside_the_others_and_ends_last() -> None:
    obj = pod(inits=("side",))
    obj["spec"]["initContainers"][0]["restartPolicy"] = "Always"
    world = World(obj)
    world.settle()
    assert world.history[-1] == "StartContainer c"
    world.seen = replace(
        world.seen,
        pod={
            **world.seen.pod,
            "metadata": {
                **obj["metadata"],
                "deletionTimestamp": "2026-11-24T12:00:30Z",
                "deletionGracePeriodSeconds": 30,
            },
        },
    )
    world.settle()
    assert world.history[-4:] == ["StopContainer c", "StopContainer side", "StopSandbox", "Forget"]


def test_a_pod_whose_machine_went_down_starts_again_with_one_more_restart() -> None:
    world = World(pod())
    world.settle()
    world.seen = replace(world.seen, sandbox=None, mounts="", streaks={})
    status = world.settle().status
    assert status["phase"] == "Running"
    assert status["containerStatuses"][0]["restartCount"] == 1


def test_a_pod_that_never_restarts_fails_when_its_machine_went_down() -> None:
    world = World(pod(policy="Never"))
    world.settle()
    world.seen = replace(world.seen, sandbox=None, mounts="")
    status = world.settle().status
    assert status["phase"] == "Failed"
    assert status["containerStatuses"][0]["state"]["terminated"]["reason"] == "ContainerStatusUnknown"


def test_a_container_that_is_not_alive_is_stopped_and_started_again() -> None:
    obj = pod()
    obj["spec"]["containers"][0]["livenessProbe"] = {"exec": {"command": ["true"]}}
    world = World(obj)
    world.settle()
    world.seen = replace(world.seen, probes={"c": ProbeState(0, alive=False)})
    decision = decide(world.seen, world.now)
    assert decision.steps == (StopContainer("c", 30.0, "Container c failed liveness probe, will be restarted"),)


def waiting_for(work: ImageWork) -> Observed:
    sandbox = SandboxState("u", "p", "ns", "10.124.1.2", ready=True)
    return Observed(pod(), "10.0.0.1", sandbox=sandbox, mounts="ready", images={"i": work})


def test_an_image_that_cannot_be_pulled_shows_why_before_it_shows_that_it_waits() -> None:
    work = ImageWork("", False, "ErrImagePull", "no such host", 2, NOW, NOW + timedelta(seconds=20))
    decision = decide(waiting_for(work), NOW)
    assert decision.steps == ()
    assert decision.look_again_in == pytest.approx(SHOWN_SECONDS)
    assert decision.status["phase"] == "Pending"
    assert decision.status["containerStatuses"][0]["state"]["waiting"] == {
        "reason": "ErrImagePull",
        "message": "no such host",
    }
    later = decide(waiting_for(work), NOW + timedelta(seconds=SHOWN_SECONDS))
    assert later.steps == (BackOffPull("c", "i"),)
    again = decide(waiting_for(replace(work, reason="ImagePullBackOff")), NOW + timedelta(seconds=SHOWN_SECONDS))
    assert again.steps == ()
    assert again.look_again_in == pytest.approx(20 - SHOWN_SECONDS)
    due = decide(waiting_for(replace(work, reason="ImagePullBackOff")), NOW + timedelta(seconds=20))
    assert due.steps == (PullImage("c", "i"),)


def test_an_image_that_was_loaded_is_looked_for_at_once() -> None:
    work = ImageWork("", False, "ImagePullBackOff", "no such host", 2, NOW, None)
    assert decide(waiting_for(work), NOW).steps == (PullImage("c", "i"),)


def test_a_command_that_cannot_be_executed_shows_its_error_then_its_back_off() -> None:
    world = World(pod())
    world.settle()
    stamp = NOW.timestamp()
    world.state("c", 0, state="exited", exit_code=128, started_at=0.0, finished_at=stamp, message="no such file")
    world.seen = replace(
        world.seen,
        streaks={"c": Streak(1)},
        failures={"c": Failure("RunContainerError", "no such file", NOW, attempt=0)},
    )
    first = decide(world.seen, NOW)
    status = first.status["containerStatuses"][0]
    assert first.steps == ()
    assert status["state"]["waiting"] == {"reason": "RunContainerError", "message": "no such file"}
    ended = status["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["startedAt"]) == (128, "StartError", "1970-01-01T00:00:00Z")
    later = NOW + timedelta(seconds=SHOWN_SECONDS)
    assert decide(world.seen, later).steps == (StartContainer("c", 1, "sha256:1"),)
    world.seen = replace(world.seen, streaks={"c": Streak(2)})
    shown = decide(world.seen, later).status["containerStatuses"][0]["state"]["waiting"]
    assert shown["reason"] == "CrashLoopBackOff"


def test_a_container_that_never_started_is_not_forgiven() -> None:
    never = ContainerState("c", 3, "c-3", "exited", exit_code=128, finished_at=NOW.timestamp())
    assert streak_after(Streak(3), never) == Streak(4)


def test_a_shorter_grace_period_is_told_to_containers_that_end_already() -> None:
    world = World(pod())
    world.settle()
    ending = {"deletionTimestamp": "2026-11-24T12:00:00Z", "deletionGracePeriodSeconds": 30}
    world.seen = replace(world.seen, pod=pod(**ending), stopping={"c": 30.0})
    assert decide(world.seen, NOW).steps == ()
    world.seen = replace(world.seen, pod=pod(**{**ending, "deletionGracePeriodSeconds": 1}))
    assert decide(world.seen, NOW).steps == (StopContainer("c", 1.0, "Stopping container c"),)


def test_an_ephemeral_container_runs_once() -> None:
    obj = pod()
    world = World({**obj, "spec": {**obj["spec"], "ephemeralContainers": [{"name": "debug", "image": "i"}]}})
    world.settle()
    assert world.seen.latest("debug") is not None
    world.end("debug", code=1)
    decision = world.settle()
    assert decision.steps == ()
    assert decision.status["phase"] == "Running"
    assert "terminated" in decision.status["ephemeralContainerStatuses"][0]["state"]


def test_a_deadline_ends_the_pod() -> None:
    obj = pod()
    obj["spec"]["activeDeadlineSeconds"] = 5
    world = World(obj)
    world.settle()
    world.now += timedelta(seconds=6)
    status = world.settle().status
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
    assert world.history[-1] == "StopSandbox"


def test_a_pod_beyond_its_deadline_has_not_failed_while_it_still_runs() -> None:
    obj = pod(policy="Never")
    obj["spec"]["activeDeadlineSeconds"] = 5
    world = World(obj)
    world.settle()
    decision = decide(world.seen, world.now + timedelta(seconds=6))
    assert [type(step) for step in decision.steps] == [StopContainer]
    assert decision.status["phase"] == "Running"
    assert "reason" not in decision.status


@settings(max_examples=150, deadline=None)
@given(
    names=st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True),
    inits=st.lists(st.sampled_from("xyz"), max_size=2, unique=True),
    policy=st.sampled_from(["Always", "OnFailure", "Never"]),
    codes=st.lists(st.integers(0, 2), max_size=8),
)
def test_whatever_ends_the_pod_settles_and_a_deletion_leaves_nothing(
    names: list[str], inits: list[str], policy: str, codes: list[int]
) -> None:
    world = World(pod(*names, inits=tuple(inits), policy=policy))
    world.settle()
    for code in codes:
        running = [
            c.name for c in (world.seen.sandbox.containers if world.seen.sandbox else ()) if c.state == "running"
        ]
        if running:
            world.end(running[code % len(running)], code)
        world.now += timedelta(seconds=301)
        decision = world.settle()
        assert decide(world.seen, world.now) == decide(world.seen, world.now)
        assert decision.status["phase"] in ("Pending", "Running", "Succeeded", "Failed")
    world.seen = replace(
        world.seen,
        pod={
            **world.seen.pod,
            "metadata": {
                **world.seen.pod["metadata"],
                "deletionTimestamp": "2026-11-24T12:00:30Z",
                "deletionGracePeriodSeconds": 30,
            },
        },
    )
    world.settle()
    assert world.gone
    assert world.seen.sandbox is None or not any(c.state == "running" for c in world.seen.sandbox.containers)
