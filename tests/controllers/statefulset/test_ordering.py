"""Which pod of a StatefulSet may be created or deleted next."""

from hypothesis import given
from hypothesis import strategies as st

from moorage.controllers.statefulset.ordering import Plan, Replica, Step, Verb, next_steps

POD = {"metadata": {"name": "any"}}


@st.composite
def situations(draw: st.DrawFn, *, ordered: bool | None = None) -> tuple[Plan, list[Replica], list[Replica]]:
    """Any plan with any pods."""
    plan = Plan(
        replicas=draw(st.integers(0, 5)),
        update_revision="new",
        start=draw(st.integers(0, 2)),
        ordered=draw(st.booleans()) if ordered is None else ordered,
        updates=draw(st.booleans()),
        partition=draw(st.integers(0, 4)),
        max_unavailable=draw(st.integers(1, 3)),
    )
    pods = {ordinal: draw(pod_at(ordinal)) for ordinal in draw(st.sets(st.integers(0, 8)))}
    wanted = [pods.get(ordinal) or Replica(ordinal, "new") for ordinal in plan.ordinals]
    condemned = [pods[ordinal] for ordinal in sorted(pods, reverse=True) if ordinal not in plan.ordinals]
    return plan, wanted, condemned


@st.composite
def pod_at(draw: st.DrawFn, ordinal: int) -> Replica:
    state = draw(st.sampled_from(["pending", "ready", "available", "unready", "finished"]))
    return Replica(
        ordinal,
        draw(st.sampled_from(["old", "new"])),
        POD,
        is_ready=state in ("ready", "available"),
        is_available=state == "available",
        is_finished=state == "finished",
        is_pending=state == "pending",
        is_terminating=draw(st.booleans()),
        misses_claims=draw(st.booleans()),
        is_sound=draw(st.booleans()),
    )


def changes(steps: tuple[Step, ...]) -> list[Step]:
    return [step for step in steps if step.verb in (Verb.CREATE, Verb.DELETE, Verb.REPLACE)]


@given(situations(ordered=True))
def test_a_pod_is_never_created_before_all_its_predecessors_are_available(
    situation: tuple[Plan, list[Replica], list[Replica]],
) -> None:
    plan, wanted, condemned = situation
    for step in next_steps(plan, wanted, condemned).due:
        if step.verb is Verb.CREATE:
            before = wanted[: step.replica.ordinal - plan.start]
            assert all(each.is_available and not each.is_terminating for each in before)


@given(situations(ordered=True))
def test_an_ordered_set_makes_one_change_at_a_time_unless_an_update_may_take_more(
    situation: tuple[Plan, list[Replica], list[Replica]],
) -> None:
    plan, wanted, condemned = situation
    found = changes(next_steps(plan, wanted, condemned).due)
    assert len(found) <= 1 or {step.verb for step in found} == {Verb.REPLACE}
    assert len(found) <= max(1, plan.max_unavailable)


@given(situations())
def test_a_terminating_pod_is_never_deleted(situation: tuple[Plan, list[Replica], list[Replica]]) -> None:
    steps = next_steps(*situation).due
    assert not [step for step in changes(steps) if step.replica.pod and step.replica.is_terminating]


@given(situations())
def test_an_update_never_touches_pods_below_the_partition(
    situation: tuple[Plan, list[Replica], list[Replica]],
) -> None:
    plan, wanted, condemned = situation
    replaced = [step for step in next_steps(plan, wanted, condemned).due if step.verb is Verb.REPLACE]
    assert all(step.replica.ordinal >= plan.start + plan.partition for step in replaced)
    assert plan.updates or not replaced


@given(situations())
def test_an_update_takes_no_more_serving_pods_than_may_be_unavailable(
    situation: tuple[Plan, list[Replica], list[Replica]],
) -> None:
    plan, wanted, condemned = situation
    unavailable = sum(each.is_unavailable for each in wanted)
    steps = next_steps(plan, wanted, condemned).due
    taken = sum(step.verb is Verb.REPLACE and step.replica.is_available for step in steps)
    assert taken <= max(0, plan.max_unavailable - unavailable)


@given(situations())
def test_the_same_pods_give_the_same_steps(situation: tuple[Plan, list[Replica], list[Replica]]) -> None:
    assert next_steps(*situation) == next_steps(*situation)


@given(situations(ordered=True))
def test_pods_are_condemned_from_the_top(situation: tuple[Plan, list[Replica], list[Replica]]) -> None:
    plan, wanted, condemned = situation
    for step in next_steps(plan, wanted, condemned).due:
        if step.verb is Verb.DELETE and step.replica.ordinal not in plan.ordinals:
            assert step.replica is condemned[0]


def available(ordinal: int, revision: str = "new") -> Replica:
    return Replica(ordinal, revision, POD, is_ready=True, is_available=True)


def test_two_unready_condemned_pods_block_each_other() -> None:
    unready = [Replica(2, "new", POD), Replica(1, "new", POD)]
    steps = next_steps(Plan(1, "new"), [available(0)], unready)
    assert steps.due == ()
    assert steps.waits == "pod 1 to become ready"


def test_an_unready_pod_at_the_top_may_go_when_it_is_the_only_one() -> None:
    steps = next_steps(Plan(1, "new"), [available(0)], [Replica(2, "new", POD), available(1)])
    assert [(step.verb, step.replica.ordinal) for step in steps.due] == [(Verb.DELETE, 2)]


def test_a_parallel_set_replaces_outdated_pods_that_do_not_serve_before_any_other() -> None:
    wanted = [Replica(0, "old", POD), available(1, "old"), available(2, "old")]
    steps = next_steps(Plan(3, "new", ordered=False), wanted, [])
    assert [step.replica.ordinal for step in steps.due] == [0]


def test_an_ordered_set_is_stuck_behind_a_broken_pod_of_an_old_revision() -> None:
    steps = next_steps(Plan(2, "new"), [Replica(0, "old", POD), Replica(1, "new")], [])
    assert steps.due == ()
    assert steps.waits == "pod 0 to become ready"


def test_max_unavailable_lets_several_pods_be_replaced_at_once() -> None:
    wanted = [available(ordinal, "old") for ordinal in range(4)]
    steps = next_steps(Plan(4, "new", max_unavailable=2), wanted, [])
    assert [step.replica.ordinal for step in steps.due] == [3, 2]


def test_a_stale_claim_holds_up_the_pod_that_would_mount_it() -> None:
    steps = next_steps(Plan(1, "new"), [Replica(0, "new", has_stale_claim=True)], [])
    assert steps.due == ()
    assert steps.waits == "a claim of the former pod 0 to be deleted"
