"""Every invariant notices what it is there for."""

import orjson
import pytest

from moorage.store.memory import MemoryStore
from moorage.testing import builders
from moorage.testing.history import History, Violation
from moorage.testing.invariants import HOLD, KNOWLEDGE_SECONDS, invariants


class Tale:
    """A store that anything can be written to, and the history of it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.store = MemoryStore()
        self.history = History(self.store, lambda: self.now, invariants())

    async def put(self, resource, obj, **parts):
        made = {**obj, **parts}
        key = f"core/{resource}/{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"
        record = await self.store.get(key)
        if record is None:
            await self.store.create(key, orjson.dumps(made))
        else:
            await self.store.update(key, orjson.dumps(made), expected=record.revision)
        return made

    async def remove(self, resource, obj):
        key = f"core/{resource}/{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"
        record = await self.store.get(key)
        await self.store.delete(key, expected=record.revision)

    def check(self) -> str:
        """Return the first violation, "" if there is none."""
        try:
            self.history.raise_violation()
        except Violation as violation:
            return str(violation)
        return ""


def _meta(obj, **fields):
    return {**obj, "metadata": {**obj["metadata"], **fields}}


@pytest.fixture
def tale() -> Tale:
    return Tale()


async def test_a_pod_that_moves_is_noticed(tale):
    pod = builders.pod("web", "default")
    await tale.put("pods", pod, spec={"nodeName": "a"})
    assert not tale.check()
    await tale.put("pods", pod, spec={"nodeName": "b"})
    assert "never changes its node" in tale.check()


async def test_another_uid_under_the_same_object_is_noticed(tale):
    await tale.put("pods", _meta(builders.pod("web", "default"), uid="1"))
    await tale.put("pods", _meta(builders.pod("web", "default"), uid="2"))
    assert "keeps its uid" in tale.check()


async def test_a_deletion_taken_back_is_noticed(tale):
    pod = builders.pod("web", "default")
    await tale.put("pods", _meta(pod, deletionTimestamp="2026-01-01T00:00:00Z"))
    await tale.put("pods", pod)
    assert "never taken back" in tale.check()


async def test_a_spec_that_changes_without_its_generation_is_noticed(tale):
    made = _meta(builders.replica_set("rs", "default", 1), generation=1)
    await tale.put("replicasets", made)
    await tale.put("replicasets", made, spec={**made["spec"], "replicas": 2})
    assert "generation" in tale.check()


async def test_what_is_held_must_not_go(tale):
    pod = _meta(builders.pod("web", "default"), uid="1", finalizers=[HOLD])
    await tale.put("pods", pod)
    await tale.remove("pods", pod)
    assert "holds it" in tale.check()


async def test_what_was_let_go_may_go(tale):
    pod = _meta(builders.pod("web", "default"), uid="1", finalizers=[HOLD])
    await tale.put("pods", pod)
    tale.history.released.add("1")
    await tale.remove("pods", pod)
    assert not tale.check()


async def test_an_ended_pod_that_runs_again_is_noticed(tale):
    pod = builders.pod("web", "default")
    await tale.put("pods", pod, status={"phase": "Failed"})
    await tale.put("pods", pod, status={"phase": "Running"})
    assert "never runs again" in tale.check()


async def test_two_claims_on_one_volume_are_noticed(tale):
    for name in ("a", "b"):
        await tale.put("persistentvolumeclaims", builders.claim(name, "default"), spec={"volumeName": "v"})
    assert "two claims" in tale.check()


async def test_a_volume_that_changes_its_claim_is_noticed(tale):
    volume = {"metadata": {"name": "v"}}
    await tale.put("persistentvolumes", volume, spec={"claimRef": {"uid": "1"}})
    await tale.put("persistentvolumes", volume, spec={"claimRef": {"uid": "2"}})
    assert "a volume its claim" in tale.check()


async def test_a_claim_that_goes_under_its_pod_is_noticed(tale):
    claim = builders.claim("data", "default")
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    await tale.put("persistentvolumeclaims", claim)
    await tale.put("pods", builders.pod("web", "default"), spec={"nodeName": "a", "volumes": volumes})
    await tale.remove("persistentvolumeclaims", claim)
    assert "while a pod uses it" in tale.check()


async def _set_with_first_pod(tale, **status):
    owner = _meta(builders.stateful_set("web", "default", 2), uid="s")
    await tale.put("statefulsets", owner)
    reference = {"kind": "StatefulSet", "name": "web", "uid": "s", "controller": True}
    first, second = (_meta(builders.pod(f"web-{n}", "default"), ownerReferences=[reference]) for n in (0, 1))
    await tale.put("pods", first, status=status)
    return first, second


READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}


async def test_a_pod_before_its_turn_is_noticed(tale):
    _, second = await _set_with_first_pod(tale, phase="Pending")
    await tale.put("pods", second)
    assert "while n-1 is not ready" in tale.check()


async def test_a_pod_in_its_turn_is_fine(tale):
    _, second = await _set_with_first_pod(tale, **READY)
    await tale.put("pods", second)
    assert not tale.check()


async def test_what_nobody_could_know_yet_is_no_violation(tale):
    first, second = await _set_with_first_pod(tale, **READY)
    await tale.put("pods", first, status={"phase": "Pending"})
    tale.now = KNOWLEDGE_SECONDS
    await tale.put("pods", second)
    assert not tale.check()
