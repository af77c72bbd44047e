"""The store in memory passes the contract, and never waits."""

import pytest

from moorage.store.errors import StoreError
from moorage.store.log import Limits
from moorage.store.memory import MemoryStore
from tests.contracts.store import TIGHT, StoreContract, machine_for


class TestMemoryStore(StoreContract):
    def open(self, path: str, limits: Limits = Limits()) -> MemoryStore:
        return MemoryStore(limits)


TestMemoryStoreByTheModel = machine_for(lambda _: MemoryStore(TIGHT), keeps=False)


def test_verbs_end_without_a_loop():
    store = MemoryStore()
    for verb in (store.create("a", b""), store.update("a", b"", expected=1), store.range(""), store.compact(1)):
        with pytest.raises(StopIteration):
            verb.send(None)


async def test_a_backup_of_what_is_not_durable_is_refused(tmp_path):
    with pytest.raises(StoreError, match="nothing durable"):
        await MemoryStore().backup(str(tmp_path / "copy"))
