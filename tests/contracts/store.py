"""The suite that every store passes. A store's own test file subclasses StoreContract and calls `machine_for`."""

import asyncio
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from moorage.store.errors import Compacted, FutureRevision, KeyExists, RevisionMismatch, StoreError, StoreUnavailable
from moorage.store.log import Limits
from moorage.store.store import Change, Record, Store

#: Little room, so that forgetting happens all the time.
TIGHT = Limits(changes=12, size_bytes=400, step=3)


class StoreContract:
    """What the Store Protocol promises, one sentence a test."""

    def open(self, path: str, limits: Limits = Limits()) -> Store:
        """Return a store; one that keeps its content keeps it at `path`."""
        raise NotImplementedError

    @pytest.fixture
    async def store(self, tmp_path) -> Any:
        store = self.open(str(tmp_path / "store.db"))
        yield store
        await store.close()

    async def test_a_new_store_is_empty_at_revision_zero(self, store):
        assert (store.revision(), store.compacted()) == (0, 0)
        assert await store.get("a/b") is None
        assert await store.range("") == ([], 0)
        assert list(store.changes(0)) == []

    async def test_every_write_takes_the_next_revision(self, store):
        assert await store.create("a", b"1") == 1
        assert await store.update("a", b"2", expected=1) == 2
        assert await store.create("b", b"") == 3
        assert await store.delete("a", expected=2) == 4
        assert await store.create("a", b"3") == 5
        assert await store.get("a") == Record("a", b"3", 5, 5)
        assert await store.get("b") == Record("b", b"", 3, 3)
        assert list(store.changes(0)) == [
            Change(1, "a", b"1", None),
            Change(2, "a", b"2", b"1"),
            Change(3, "b", b"", None),
            Change(4, "a", None, b"2"),
            Change(5, "a", b"3", None),
        ]

    async def test_a_refused_write_takes_no_revision(self, store):
        await store.create("a", b"1")
        with pytest.raises(KeyExists):
            await store.create("a", b"2")
        with pytest.raises(RevisionMismatch) as mismatch:
            await store.update("a", b"2", expected=7)
        assert mismatch.value.actual == 1
        with pytest.raises(RevisionMismatch) as mismatch:
            await store.delete("missing", expected=1)
        assert mismatch.value.actual == 0
        with pytest.raises(RevisionMismatch):
            await store.update("missing", b"", expected=0)
        assert store.revision() == 1

    async def test_writes_at_once_are_checked_against_each_other(self, store):
        answers = await asyncio.gather(
            store.create("a", b"1"),
            store.create("a", b"2"),
            store.update("a", b"3", expected=1),
            store.update("a", b"4", expected=1),
            store.delete("a", expected=2),
            store.create("a", b"5"),
            return_exceptions=True,
        )
        assert [a if isinstance(a, int) else type(a) for a in answers] == [1, KeyExists, 2, RevisionMismatch, 3, 4]
        assert [c.previous for c in store.changes(0)] == [None, b"1", b"3", None]

    async def test_a_refusal_tells_nothing_that_is_not_visible(self, store):
        first = asyncio.ensure_future(store.create("a", b"1"))
        await asyncio.sleep(0)
        with pytest.raises(KeyExists):
            await store.create("a", b"2")
        assert await store.get("a") is not None
        await first

    async def test_a_write_is_visible_when_acknowledged_and_announced_once_a_batch(self, store):
        seen = []
        store.changed.subscribe(lambda: seen.append(store.revision()))
        await asyncio.gather(*(store.create(f"k/{n}", b"") for n in range(40)))
        assert seen[-1] == store.revision() == 40
        assert len(set(seen)) == len(seen) == store.changed.count

    async def test_the_log_gives_the_very_value_that_was_written(self, store):
        value = b"not copied"
        await store.create("a", value)
        assert store.changes(0)[0].value is value

    async def test_a_cancelled_caller_disturbs_nobody(self, store):
        cancelled = asyncio.ensure_future(store.create("a", b""))
        others = [asyncio.ensure_future(store.create(f"k/{n}", b"")) for n in range(3)]
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.gather(*others)
        with suppress(asyncio.CancelledError):
            await cancelled
        assert {change.revision for change in store.changes(0)} == set(range(1, store.revision() + 1))

    async def test_a_failing_listener_takes_no_acknowledgement_away(self, store):
        quiet = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: quiet.append(context["exception"]))
        unsubscribe = store.changed.subscribe(lambda: 1 // 0)
        with suppress(ZeroDivisionError):
            await store.create("a", b"")
        unsubscribe()
        assert await store.create("b", b"") == 2

    async def test_ranges_are_by_prefix_and_in_order(self, store):
        for key in ("a/2", "a/1", "a", "b/1", "a/\U0010ffff", "ab", "a/1/x"):
            await store.create(key, key.encode())
        await store.delete("a/2", expected=1)
        records, revision = await store.range("a/")
        assert [record.key for record in records] == ["a/1", "a/1/x", "a/\U0010ffff"]
        assert revision == 8
        await store.create("a/2", b"again")
        assert [record.key for record in (await store.range("a"))[0]] == sorted(
            ["a", "a/1", "a/1/x", "a/2", "a/\U0010ffff", "ab"]
        )
        assert (await store.range("c"))[0] == []

    async def test_what_was_compacted_and_what_is_not_yet_is_refused(self, store):
        for n in range(5):
            await store.create(f"k/{n}", b"v")
        await store.compact(3)
        await store.compact(2)
        assert store.compacted() == 3
        with pytest.raises(Compacted) as compacted:
            store.changes(2)
        assert (compacted.value.asked, compacted.value.floor) == (2, 3)
        assert [change.revision for change in store.changes(3, 1)] == [4]
        with pytest.raises(FutureRevision):
            store.changes(6)
        with pytest.raises(FutureRevision):
            await store.compact(6)
        assert len((await store.range("k/"))[0]) == 5

    async def test_compaction_up_to_the_newest_goes_on_with_the_next(self, store):
        await store.create("a", b"1")
        await store.delete("a", expected=1)
        await store.compact(2)
        assert list(store.changes(2)) == []
        assert await store.create("a", b"2") == 3
        assert [change.revision for change in store.changes(2)] == [3]

    async def test_the_log_is_bounded_by_count_and_by_size(self, tmp_path):
        store = self.open(str(tmp_path / "tight.db"), TIGHT)
        for n in range(100):
            await store.create(f"k/{n}", b"x" if n < 50 else b"x" * 100)
            kept = store.changes(store.compacted())
            assert 1 <= len(kept) <= TIGHT.changes + TIGHT.step
            assert sum(len(change.value or b"") for change in kept) <= TIGHT.size_bytes
        assert len((await store.range("k/"))[0]) == 100
        await store.close()

    async def test_a_closed_store_refuses_writes_and_closes_again(self, tmp_path):
        store = self.open(str(tmp_path / "closed.db"))
        accepted = asyncio.gather(*(store.create(f"k/{n}", b"") for n in range(5)))
        await asyncio.sleep(0)
        await store.close()
        assert sorted(await accepted) == [1, 2, 3, 4, 5]
        with pytest.raises(StoreUnavailable):
            await store.create("late", b"")
        await store.close()


class Model:
    """What a store is: newest records, all changes ever, and nothing else. Obviously right, slow and forgetful of nothing."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.changes: list[Change] = []

    def write(self, key: str, value: bytes | None, expected: int | None) -> int | type[StoreError]:
        """Return the revision, or the refusal. `expected` None creates, `value` None deletes."""
        old = self.records.get(key)
        if expected is None and old:
            return KeyExists
        if expected is not None and (old is None or old.revision != expected):
            return RevisionMismatch
        revision = len(self.changes) + 1
        self.changes.append(Change(revision, key, value, old.value if old else None))
        if value is None:
            del self.records[key]
        else:
            self.records[key] = Record(key, value, old.created if old else revision, revision)
        return revision


def folded(records: Iterable[Record], changes: Iterable[Change]) -> dict[str, bytes]:
    """Return the values by key after `changes`; each must tell the value before it."""
    state = {record.key: record.value for record in records}
    for change in changes:
        assert state.get(change.key) == change.previous
        if change.value is None:
            del state[change.key]
        else:
            state[change.key] = change.value
    return state


KEYS = st.sampled_from(["a", "a/1", "a/2", "b/1"])
VALUES = st.sampled_from([b"", b"1", b"x" * 90])
#: A write: key, value (None to delete), how: create, with the right revision, with a wrong one.
WRITES = st.tuples(KEYS, st.none() | VALUES, st.sampled_from(["create", "right", "right", "wrong"]))


def machine_for(open_at: Callable[[str], Store], *, keeps: bool) -> Any:
    """Return a test case that compares a store with the model; `keeps` says whether it survives being opened again."""

    class StoreMachine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.loop = asyncio.new_event_loop()
            self.folder = tempfile.TemporaryDirectory()
            self.path = f"{self.folder.name}/store.db"
            self.store = open_at(self.path)
            self.model = Model()
            self.listed: tuple[list[Record], int] = ([], 0)

        @rule(writes=st.lists(WRITES, min_size=1, max_size=6))
        def write_at_once(self, writes: list[tuple[str, bytes | None, str]]) -> None:
            expected = []
            calls = []
            for key, value, how in writes:
                record = self.model.records.get(key)
                at = (record.revision if record else 0) if how == "right" else 1_000_000
                if how == "create":
                    expected.append(self.model.write(key, value or b"", None))
                    calls.append(self.store.create(key, value or b""))
                elif value is None:
                    expected.append(self.model.write(key, None, at))
                    calls.append(self.store.delete(key, expected=at))
                else:
                    expected.append(self.model.write(key, value, at))
                    calls.append(self.store.update(key, value, expected=at))
            answers = self.run(self.all(calls))
            assert [a if isinstance(a, int) else type(a) for a in answers] == expected

        @rule(back=st.integers(0, 8))
        def compact(self, back: int) -> None:
            floor = self.store.compacted()
            revision = max(0, self.store.revision() - back)
            self.run(self.store.compact(revision))
            assert self.store.compacted() == max(floor, revision)

        @rule()
        def list_now(self) -> None:
            self.listed = self.run(self.store.range(""))

        @rule(limit=st.integers(1, 5))
        def follow_from_the_list(self, limit: int) -> None:
            records, at = self.listed
            with suppress(Compacted):
                changes: list[Change] = []
                while more := self.store.changes(at + len(changes), limit):
                    assert len(more) <= limit
                    changes += more
                assert folded(records, changes) == {k: r.value for k, r in self.model.records.items()}

        @precondition(lambda self: keeps)
        @rule()
        def open_again(self) -> None:
            before = self.store.compacted()
            self.run(self.store.close())
            self.store = open_at(self.path)
            assert self.store.compacted() == before

        @invariant()
        def holds_what_the_model_holds(self) -> None:
            records, revision = self.run(self.store.range(""))
            assert list(records) == [self.model.records[key] for key in sorted(self.model.records)]
            assert revision == self.store.revision() == len(self.model.changes)

        @invariant()
        def gives_every_change_once_in_order_or_says_compacted(self) -> None:
            floor = self.store.compacted()
            for after in range(max(0, floor - 2), self.store.revision() + 1):
                try:
                    changes = list(self.store.changes(after))
                except Compacted:
                    assert after < floor
                else:
                    assert after >= floor
                    assert changes == self.model.changes[after:]

        async def all(self, calls: list[Any]) -> list[Any]:
            return await asyncio.gather(*calls, return_exceptions=True)

        def run(self, work: Any) -> Any:
            return self.loop.run_until_complete(work)

        def teardown(self) -> None:
            self.run(self.store.close())
            self.loop.close()
            self.folder.cleanup()

    case = StoreMachine.TestCase
    case.settings = settings(
        max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
    )
    return case
