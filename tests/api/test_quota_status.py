"""Who was answered sees in the quota what it uses."""

from tests.api.world import World

QUOTA = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"configmaps": "5"}}}


def config_map(name: str) -> dict:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


async def counted_quota(world: World) -> dict:
    made = await world.create("resourcequotas", QUOTA)
    status = {"hard": {"configmaps": "5"}, "used": {"configmaps": "0"}}
    return await world.update("resourcequotas/status", {**made, "status": status})


async def test_an_acknowledged_object_is_counted(world):
    await counted_quota(world)
    await world.create("configmaps", config_map("a"))
    assert (await world.get("resourcequotas", "q"))["status"]["used"] == {"configmaps": "1"}


async def test_a_dry_run_and_what_no_quota_counts_change_nothing(world):
    before = await counted_quota(world)
    await world.create("configmaps", config_map("a"), dryRun="All")
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
    await world.create("secrets", secret)
    after = await world.get("resourcequotas", "q")
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


async def test_a_quota_that_its_controller_never_counted_is_left_to_it(world):
    await world.create("resourcequotas", QUOTA)
    await world.create("configmaps", config_map("a"))
    assert "used" not in ((await world.get("resourcequotas", "q")).get("status") or {})
