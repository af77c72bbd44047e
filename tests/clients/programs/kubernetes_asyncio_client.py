"""What kubernetes-asyncio is used for."""

import asyncio
from collections.abc import Callable
from typing import Any

from checks import pod, run
from kubernetes_asyncio import client, config, dynamic, watch
from kubernetes_asyncio.stream import WsApiClient

NAMESPACE = "kubernetes-asyncio"


async def check_objects_are_created_read_and_patched() -> None:
    async with client.ApiClient() as api:
        core = client.CoreV1Api(api)
        await core.create_namespace({"metadata": {"name": NAMESPACE}})
        await core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "one"}, "data": {"a": "1"}})
        patched = await core.patch_namespaced_config_map("one", NAMESPACE, {"data": {"b": "2"}})
        assert patched.data == {"a": "1", "b": "2"}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"a": "3"}}
        applied = await core.patch_namespaced_config_map(
            "one", NAMESPACE, body, field_manager="f", force=True, _content_type="application/apply-patch+yaml"
        )
        assert applied.data["a"] == "3"
        page = await core.list_namespaced_config_map(NAMESPACE, limit=1)
        assert page.metadata._continue
        try:
            await core.read_namespaced_config_map("none", NAMESPACE)
        except client.ApiException as refused:
            status = refused.status
        assert status == 404


async def check_a_watch_tells_each_change() -> None:
    async with client.ApiClient() as api:
        core = client.CoreV1Api(api)
        asyncio.get_running_loop().call_later(
            0.2,
            lambda: asyncio.ensure_future(core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "seen"}})),
        )
        async with watch.Watch().stream(core.list_namespaced_config_map, NAMESPACE, timeout_seconds=10) as events:
            async for event in events:
                if event["object"].metadata.name == "seen":
                    assert event["type"] == "ADDED"
                    break


async def check_a_pod_runs_and_is_spoken_to() -> None:
    async with client.ApiClient() as api, WsApiClient() as sockets:
        core = client.CoreV1Api(api)
        await core.create_namespaced_pod(NAMESPACE, pod("p", ["sh", "-c", "echo hello; exec sleep 1000"]))
        async with asyncio.timeout(20):
            while (await core.read_namespaced_pod("p", NAMESPACE)).status.phase != "Running":
                await asyncio.sleep(0.05)
            while await core.read_namespaced_pod_log("p", NAMESPACE) != "hello\n":
                await asyncio.sleep(0.05)
        said = await client.CoreV1Api(sockets).connect_get_namespaced_pod_exec(
            "p", NAMESPACE, command=["echo", "hi"], stdout=True, stderr=True, stdin=False, tty=False
        )
        assert said == "hi\n"
        await core.delete_namespaced_pod("p", NAMESPACE, grace_period_seconds=0)


async def check_the_dynamic_client_finds_its_way() -> None:
    async with client.ApiClient() as api, dynamic.DynamicClient(api) as finder:
        maps = await finder.resources.get(api_version="v1", kind="ConfigMap")
        found = await maps.get(namespace=NAMESPACE, name="one")
        assert found.data.a == "3"


async def _configured(check: Callable[[], Any]) -> None:
    await config.load_kube_config()
    await check()


if __name__ == "__main__":
    run(globals(), lambda check: asyncio.run(_configured(check)))
