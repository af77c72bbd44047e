"""Tests of evictions and disruption budgets."""

import pytest

from moorage.objects.errors import BadRequest, NotFound, PlainError, TooManyRequests
from tests.api.world import pod

EVICTION = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}


def budget(name="w", **spec):
    return {"metadata": {"name": name}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}, **spec}}


async def protected(world, allowed, *, ready=True, healthy=1, desired=1, **spec):
    """Have a running pod under a budget that allows so many disruptions."""
    await world.create("pods", pod(nodeName="n"))
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    await world.patch("pods/status", "p", {"status": {"phase": "Running", "conditions": [condition]}})
    await world.create("poddisruptionbudgets.policy", budget(**spec))
    status = {"observedGeneration": 1, "disruptionsAllowed": allowed, "currentHealthy": healthy}
    status |= {"desiredHealthy": desired, "expectedPods": 1}
    await world.patch("poddisruptionbudgets.policy/status", "w", {"status": status})


async def test_an_evicted_pod_says_why_it_goes(world):
    await world.create("pods", pod(nodeName="n"))
    answer = await world.create("pods/eviction", {**EVICTION, "deleteOptions": {"gracePeriodSeconds": 7}}, "p")
    assert (answer["status"], answer["code"]) == ("Success", 201)
    gone = await world.get("pods", "p")
    assert gone["metadata"]["deletionGracePeriodSeconds"] == 7
    (condition,) = gone["status"]["conditions"]
    assert (condition["type"], condition["reason"]) == ("DisruptionTarget", "EvictionByEvictionAPI")


async def test_a_pod_that_never_started_goes_at_once(world):
    await world.create("poddisruptionbudgets.policy", budget())
    await world.create("pods", pod())
    await world.create("pods/eviction", EVICTION, "p")
    with pytest.raises(NotFound):
        await world.get("pods", "p")


async def test_a_budget_counts_what_it_allows(world):
    await protected(world, 1)
    await world.create("pods/eviction", EVICTION, "p")
    status = (await world.get("poddisruptionbudgets.policy", "w"))["status"]
    assert (status["disruptionsAllowed"], list(status["disruptedPods"])) == (0, ["p"])


async def test_a_budget_without_room_refuses(world):
    await protected(world, 0)
    with pytest.raises(TooManyRequests) as refusal:
        await world.create("pods/eviction", EVICTION, "p")
    (cause,) = refusal.value.details["causes"]
    assert cause["message"] == "The disruption budget w needs 1 healthy pods and has 1 currently"
    assert "deletionTimestamp" not in (await world.get("pods", "p"))["metadata"]


async def test_a_budget_that_is_not_worked_out_yet_refuses_for_now(world):
    await protected(world, 1)
    await world.patch("poddisruptionbudgets.policy", "w", {"spec": {"minAvailable": 2}})
    with pytest.raises(TooManyRequests) as refusal:
        await world.create("pods/eviction", EVICTION, "p")
    assert refusal.value.details["retryAfterSeconds"] == 10


async def test_unhealthy_pods_are_protected_only_while_healthy_ones_are_too_few(world):
    await protected(world, 0, ready=False, healthy=0, desired=1)
    with pytest.raises(TooManyRequests):
        await world.create("pods/eviction", EVICTION, "p")
    enough = {"currentHealthy": 1}
    await world.patch("poddisruptionbudgets.policy/status", "w", {"status": enough})
    await world.create("pods/eviction", EVICTION, "p")


async def test_unhealthy_pods_may_always_go_where_the_budget_says_so(world):
    await protected(world, 0, ready=False, healthy=0, unhealthyPodEvictionPolicy="AlwaysAllow")
    await world.create("pods/eviction", EVICTION, "p")


async def test_two_budgets_are_one_too_many(world):
    await protected(world, 1)
    await world.create("poddisruptionbudgets.policy", budget("x"))
    with pytest.raises(PlainError) as refusal:
        await world.create("pods/eviction", EVICTION, "p")
    assert refusal.value.message.startswith("This pod has more than one PodDisruptionBudget")


async def test_an_eviction_names_its_pod_in_a_version_that_is_known(world):
    await world.create("pods", pod())
    with pytest.raises(BadRequest) as refusal:
        await world.create("pods/eviction", {**EVICTION, "metadata": {"name": "q"}}, "p")
    assert refusal.value.message == "name in URL does not match name in Eviction object"
    await world.create("pods/eviction", {**EVICTION, "apiVersion": "policy/v1beta1"}, "p")


async def test_a_dry_run_changes_nothing(world):
    await protected(world, 1)
    before = await world.get("pods", "p")
    await world.create("pods/eviction", EVICTION, "p", dryRun="All")
    assert await world.get("pods", "p") == before
    assert (await world.get("poddisruptionbudgets.policy", "w"))["status"]["disruptionsAllowed"] == 1
