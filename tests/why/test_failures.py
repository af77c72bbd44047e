"""Failures that are made in a whole cluster; each is explained down to its root in at most five lines."""

from moorage.testing import builders
from moorage.why.chain import LINES_MOST
from tests.why.failing import Failing, live


async def missing_class(f: Failing) -> None:
    workload = builders.stateful_set("web", "default", 3, claims=("data",))
    workload["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] = "fast"
    await f.make("statefulsets.apps", workload)
    answer = await f.until("statefulsets.apps", "web", "StorageClass fast does not exist")
    assert len(answer.lines()) <= LINES_MOST


def test_a_missing_storage_class_holds_up_a_stateful_set():
    live(missing_class)
