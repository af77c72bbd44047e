"""The CronJob controller: Jobs at the times of a schedule."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.controllers import cronjob
from moorage.controllers.cronjob.schedule import Interval, ScheduleError, find_due, parse_schedule
from moorage.objects.metadata import Object, Ref, format_time
from tests.controllers.world import World

NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
TICK = Ref(cronjob.RESOURCE, "default", "tick")
MINUTE = timedelta(minutes=1)


def tick(**spec: Any) -> World:
    """Return a world with a CronJob for each minute that was made now."""
    world = World(NOW)
    template = {"metadata": {"labels": {"l": "1"}}, "spec": {"template": {}}}
    metadata = {"name": "tick", "namespace": "default"}
    made = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata}
    whole = {"schedule": "* * * * *", "concurrencyPolicy": "Allow", "jobTemplate": template, **spec}
    world.create(cronjob.RESOURCE, {**made, "spec": whole})
    return world


def settle(world: World) -> float | None:
    for _ in range(10):
        before = world.revision
        decision = world.run(cronjob.CONTROLLER, TICK)
        if world.revision == before:
            return decision.look_again_in
    raise AssertionError("does not settle")


def status(world: World) -> dict[str, Any]:
    return dict((world.get(cronjob.RESOURCE, "default", "tick") or {}).get("status") or {})


def jobs(world: World) -> list[str]:
    return [each["metadata"]["name"] for each in world.list(cronjob.JOBS)]


def end(world: World, name: str, kind: str = "Complete") -> None:
    moment = format_time(world.now)
    condition = {"type": kind, "status": "True", "lastTransitionTime": moment}
    world.set_status(cronjob.JOBS, name, conditions=[condition], completionTime=moment, startTime=moment)


def test_nothing_starts_before_its_time() -> None:
    world = tick()
    assert settle(world) == pytest.approx(30.1)
    assert (jobs(world), status(world)) == ([], {})


def test_a_job_starts_at_its_time_and_is_active_until_it_ends() -> None:
    world = tick()
    world.now += MINUTE
    assert settle(world) == pytest.approx(30.1)
    [name] = jobs(world)
    made: Object = world.get(cronjob.JOBS, "default", name) or {}
    assert name == f"tick-{int(datetime(2026, 3, 1, 12, 1, tzinfo=UTC).timestamp()) // 60}"
    assert made["metadata"]["annotations"] == {cronjob.SCHEDULED: "2026-03-01T12:01:00Z"}
    assert made["metadata"]["labels"] == {"l": "1"}
    assert [each["name"] for each in status(world)["active"]] == [name]
    assert status(world)["lastScheduleTime"] == "2026-03-01T12:01:00Z"
    end(world, name)
    settle(world)
    assert status(world) == {
        "lastScheduleTime": "2026-03-01T12:01:00Z",
        "lastSuccessfulTime": format_time(world.now),
    }
    assert f"Saw completed job: {name}, condition: Complete" in world.events


@pytest.mark.parametrize(("policy", "running"), [("Allow", 2), ("Forbid", 1), ("Replace", 1)])
def test_what_happens_to_a_job_that_still_runs_is_a_policy(policy: str, running: int) -> None:
    world = tick(concurrencyPolicy=policy)
    for _ in range(2):
        world.now += MINUTE
        settle(world)
    assert len(jobs(world)) == len(status(world)["active"]) == running
    assert (jobs(world)[0].endswith(status(world)["active"][0]["name"])) is True


def test_of_many_missed_times_only_the_last_one_counts() -> None:
    world = tick()
    world.now += 200 * MINUTE
    settle(world)
    assert len(jobs(world)) == 1
    assert status(world)["lastScheduleTime"] == "2026-03-01T15:20:00Z"
    assert any(event.startswith("too many missed start times") for event in world.events)


def test_a_time_beyond_the_deadline_is_missed() -> None:
    world = tick(schedule="0 * * * *", startingDeadlineSeconds=60)
    world.now += timedelta(minutes=65)
    settle(world)
    assert jobs(world) == []


def test_a_suspended_cronjob_starts_nothing() -> None:
    world = tick(suspend=True)
    world.now += 5 * MINUTE
    assert settle(world) is None
    assert jobs(world) == []


def test_finished_jobs_are_kept_up_to_their_limits() -> None:
    world = tick(successfulJobsHistoryLimit=2, failedJobsHistoryLimit=1)
    for kind in ("Complete", "Failed") * 3:
        world.now += MINUTE
        settle(world)
        end(world, jobs(world)[-1], kind)
        settle(world)
    assert len(jobs(world)) == 3


def test_a_job_that_somebody_else_made_is_told_about_but_not_active() -> None:
    world = tick()
    owner = world.get(cronjob.RESOURCE, "default", "tick") or {}
    reference = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "tick", "controller": True}
    owners = [{**reference, "uid": owner["metadata"]["uid"]}]
    world.create(cronjob.JOBS, {"metadata": {"name": "mine", "namespace": "default", "ownerReferences": owners}})
    settle(world)
    assert status(world) == {}
    assert "Saw a job that the controller did not create or forgot: mine" in world.events


def test_an_active_job_that_went_is_missing() -> None:
    world = tick()
    world.now += MINUTE
    settle(world)
    [name] = jobs(world)
    world.delete(cronjob.JOBS, "default", name)
    settle(world)
    assert f"Active job went missing: {name}" in world.events
    assert jobs(world) == []


def test_entries_of_the_active_list_that_name_nothing_are_dropped() -> None:
    world = tick()
    world.set_status(cronjob.RESOURCE, "tick", active=[{"name": "x"}, {"kind": "Job"}])
    settle(world)
    assert status(world) == {}


def times(schedule: str, start: datetime, count: int, zone: str = "") -> list[str]:
    found = []
    moment: datetime | None = start
    for _ in range(count):
        moment = parse_schedule(schedule, zone).after(moment) if moment else None
        found.append(moment.strftime("%m-%d %H:%M") if moment else "")
    return found


def test_days_of_month_and_week_add_up_unless_one_of_them_is_a_star() -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    assert times("0 0 13 * 5", start, 3) == ["03-06 00:00", "03-13 00:00", "03-20 00:00"]
    assert times("0 0 ? * MON", start, 2) == ["03-02 00:00", "03-09 00:00"]
    assert times("0 0 */10 * 1", start, 3) == ["03-02 00:00", "03-09 00:00", "03-11 00:00"]


def test_fields_have_lists_ranges_and_steps() -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    assert times("5-20/10,50 1/12 1 mar,apr *", start, 4) == [
        "03-01 01:05",
        "03-01 01:15",
        "03-01 01:50",
        "03-01 13:05",
    ]
    assert times("@weekly", start, 1) == ["03-08 00:00"]


def test_a_schedule_without_any_time_is_never_due() -> None:
    assert times("59 23 31 2 *", NOW, 1) == [""]


def test_hours_that_clocks_skip_do_not_come_and_repeated_ones_come_twice() -> None:
    spring = datetime(2026, 3, 7, 12, tzinfo=UTC)
    assert times("30 2 * * *", spring, 2, "America/New_York") == ["03-09 06:30", "03-10 06:30"]
    autumn = datetime(2026, 10, 31, 12, tzinfo=UTC)
    assert times("30 1 * * *", autumn, 2, "America/New_York") == ["11-01 05:30", "11-01 06:30"]


@pytest.mark.parametrize(
    ("schedule", "zone"), [("* * * *", ""), ("61 * * * *", ""), ("* * * * x", ""), ("@daily", "x/y")]
)
def test_what_cannot_be_read_is_refused(schedule: str, zone: str) -> None:
    with pytest.raises(ScheduleError):
        parse_schedule(schedule, zone)


@given(st.integers(0, 10**6), st.sampled_from(["*/7 * * * *", "0 */5 * * *", "30 6-16/4 * * 1-5", "@every 90s"]))
def test_the_time_that_is_due_has_come_and_the_next_one_has_not(seconds: int, text: str) -> None:
    schedule = parse_schedule(text)
    now = NOW + timedelta(seconds=seconds)
    due = find_due(schedule, NOW, now)
    if due.latest is None:
        assert (schedule.after(NOW) or now) > now
        return
    following = schedule.after(due.latest)
    assert NOW < due.latest <= now
    assert following is not None
    assert following > now


def test_an_interval_counts_from_the_last_time() -> None:
    assert Interval(90).after(NOW.astimezone(ZoneInfo("Europe/Berlin"))) == NOW + timedelta(seconds=90)
