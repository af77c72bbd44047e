"""The durable store passes the contract and survives what disks and processes do."""

import asyncio
import os
import random
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import uvloop

from moorage.store.errors import StoreDamaged, StoreError, StoreUnavailable
from moorage.store.log import Limits
from moorage.store.sqlite import SqliteStore
from tests.contracts.store import TIGHT, StoreContract, folded, machine_for

#: Writes until it is killed; each acknowledged write is told on stdout, after it was acknowledged.
WRITING = """
import asyncio, os, sys
from moorage.store.log import Limits
from moorage.store.sqlite import SqliteStore

async def write(store, worker):
    revision, count = 0, 0
    while True:
        key, count = f"k/{os.getpid()}/{worker}/{count // 5}", count + 1
        value = b"%d" % count * 300
        if count % 5 == 1:
            revision = await store.create(key, value)
        elif count % 10:
            revision = await store.update(key, value, expected=revision)
        else:
            revision = await store.delete(key, expected=revision)
            value = b"deleted"
        os.write(1, b"%d %s %d\\n" % (revision, key.encode(), 0 if value == b"deleted" else count))

async def main():
    store = SqliteStore(sys.argv[1], Limits(changes=200, step=20))
    os.write(1, b"0 - %d\\n" % store.revision())
    await asyncio.gather(*(write(store, worker) for worker in range(8)))

asyncio.run(main())
"""


class TestSqliteStore(StoreContract):
    def open(self, path: str, limits: Limits = Limits()) -> SqliteStore:
        return SqliteStore(path, limits)


TestSqliteStoreByTheModel = machine_for(lambda path: SqliteStore(path, TIGHT), keeps=True)


@pytest.fixture
def path(tmp_path) -> str:
    return str(tmp_path / "store.db")


async def filled(path: str, count: int = 50) -> None:
    """Make a store with some keys, and close it."""
    store = SqliteStore(path)
    await asyncio.gather(*(store.create(f"k/{n:04}", b"%d" % n * 500) for n in range(count)))
    await store.close()


async def test_everything_is_there_after_opening_again(path):
    await filled(path)
    store = SqliteStore(path)
    await store.delete("k/0001", expected=2)
    await store.close()
    store = SqliteStore(path)
    assert (store.revision(), store.compacted()) == (51, 0)
    assert await store.get("k/0001") is None
    assert (await store.get("k/0002")).value == b"2" * 500
    assert store.changes(50)[0].previous == b"1" * 500
    await store.close()


async def test_revisions_never_go_back_even_if_nothing_is_left(path):
    store = SqliteStore(path)
    await store.create("a", b"")
    await store.delete("a", expected=1)
    await store.compact(2)
    await store.close()
    store = SqliteStore(path)
    assert (store.revision(), store.compacted()) == (2, 2)
    assert await store.create("a", b"") == 3
    await store.close()


async def test_replaced_values_leave_the_file_when_they_are_forgotten(path):
    store = SqliteStore(path, Limits(changes=10, step=5))
    revision = await store.create("a", b"")
    for n in range(200):
        revision = await store.update("a", b"%d" % n, expected=revision)
    await store.close()
    with sqlite3.connect(path) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM changes").fetchone()
    connection.close()
    assert rows <= 10 + 5 + 1


async def test_a_file_that_became_mostly_empty_shrinks_at_closing(path):
    store = SqliteStore(path, Limits(changes=10, step=5))
    for n in range(20):
        await store.create(f"k/{n}", bytes(1 << 20))
    for n in range(20):
        await store.delete(f"k/{n}", expected=n + 1)
    await store.compact(store.revision())
    await store.close()
    assert os.path.getsize(path) < 1 << 20


async def test_only_the_owner_may_read_the_files(path):
    store = SqliteStore(path)
    await store.create("a", b"")
    for file in Path(path).parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    await store.close()


def test_it_works_under_uvloop(path):
    async def main() -> list[int]:
        store = SqliteStore(path)
        revisions = await asyncio.gather(*(store.create(f"k/{n}", b"") for n in range(600)))
        await store.close()
        return revisions

    assert uvloop.run(main()) == list(range(1, 601))


async def test_values_out_of_the_log_are_read_from_the_file(path):
    store = SqliteStore(path, TIGHT)
    for n in range(40):
        await store.create(f"k/{n:02}", b"%d" % n)
    assert (await store.get("k/03")).value == b"3"
    assert await store.update("k/03", b"new", expected=4) == 41
    assert store.changes(40)[0].previous == b"3"
    assert [record.value for record in (await store.range("k/0"))[0]][2:5] == [b"2", b"new", b"4"]
    await store.close()


async def test_a_key_that_is_no_text_fails_alone(path):
    store = SqliteStore(path)
    answers = await asyncio.gather(
        store.create("a", b""), store.create("\udc80", b""), store.create("ü", b""), return_exceptions=True
    )
    assert [a if isinstance(a, int) else type(a) for a in answers] == [1, UnicodeEncodeError, 2]
    await store.close()


# Crashes


def _killed_while_writing(path: str, seconds: float) -> dict[str, tuple[int, int]]:
    """Run a writer for a while, kill it; return (revision, count) by key as it acknowledged them."""
    with subprocess.Popen([sys.executable, "-c", WRITING, path], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        acknowledged = {"-": (0, int(child.stdout.readline().split()[2]))}
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(seconds)
        child.send_signal(signal.SIGKILL)
        for line in child.stdout.read().splitlines():
            if len(parts := line.split()) == 3 and line.count(b"/") == 3:
                acknowledged[parts[1].decode()] = (int(parts[0]), int(parts[2]))
    return acknowledged


async def test_every_acknowledged_write_survives_a_kill(path):
    chance = random.Random(7)
    newest = 0
    for _ in range(10):
        acknowledged = _killed_while_writing(path, chance.uniform(0, 0.06))
        assert acknowledged.pop("-")[1] >= newest
        store = SqliteStore(path)
        for key, (revision, count) in acknowledged.items():
            record = await store.get(key)
            if record is not None and record.revision == revision:
                assert record.value == b"%d" % count * 300
            elif record is None and count == 0:
                assert store.revision() >= revision
            else:  # a later write of this key was on its way
                assert store.revision() > revision
                assert record is None or record.revision > revision
        newest = store.revision()
        assert newest >= max((revision for revision, _ in acknowledged.values()), default=0)
        kept = store.changes(store.compacted(), 100_000)
        assert [change.revision for change in kept] == list(range(store.compacted() + 1, newest + 1))
        await store.close()


# Refusals at opening


def _contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if not file.name.endswith((".lock", "-shm"))}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"apiVersion: v1\n" * 100, "is not a database"),
        (b"SQLite format 3\0" + bytes(84), "of another program"),
    ],
)
def test_what_is_no_store_is_refused_and_left_alone(path, content, why):
    Path(path).write_bytes(content)
    with pytest.raises(StoreDamaged, match=why) as refusal:
        SqliteStore(path)
    assert "Restore a backup" in str(refusal.value)
    assert _contents(Path(path).parent) == {"store.db": content}


async def test_a_store_that_was_cut_off_is_refused_and_left_alone(path):
    await filled(path)
    os.truncate(path, os.path.getsize(path) - 8192)
    before = _contents(Path(path).parent)
    with pytest.raises(StoreDamaged, match="cut off"):
        SqliteStore(path)
    assert _contents(Path(path).parent) == before


@pytest.mark.parametrize("closed", [True, False])
async def test_a_store_with_a_broken_page_is_refused_and_left_alone(path, closed):
    await filled(path)
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)
    if not closed:
        Path(f"{path}.lock").write_bytes(b"1\n")
    before = _contents(Path(path).parent)
    with pytest.raises(StoreDamaged):
        SqliteStore(path)
    after = _contents(Path(path).parent)
    assert {name: content for name, content in after.items() if content} == before


async def test_a_newer_schema_is_refused(path):
    await filled(path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(StoreDamaged, match="schema 2, this program knows 1"):
        SqliteStore(path)


async def test_a_lost_change_is_noticed(path):
    await filled(path)
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM changes WHERE revision = 7")
    connection.close()
    with pytest.raises(StoreDamaged, match="lacks change 7"):
        SqliteStore(path)


async def test_the_log_of_a_missing_database_is_not_played_into_a_new_one(path):
    store = SqliteStore(path)
    await store.create("a", b"")
    shutil.copy(f"{path}-wal", f"{path}.kept")
    await store.close()
    os.remove(path)
    os.rename(f"{path}.kept", f"{path}-wal")
    with pytest.raises(StoreDamaged, match="write-ahead log is there"):
        SqliteStore(path)
    assert not os.path.exists(path)


async def test_a_second_opener_is_told_who_has_it(path):
    store = SqliteStore(path)
    with pytest.raises(StoreError, match=f"is open in process {os.getpid()}"):
        SqliteStore(path)
    opening = "import sys; from moorage.store.sqlite import SqliteStore; SqliteStore(sys.argv[1])"
    child = subprocess.run([sys.executable, "-c", opening, path], capture_output=True, text=True, check=False)
    assert f"is open in process {os.getpid()}" in child.stderr
    await store.close()
    store = SqliteStore(path)
    await store.close()


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(StoreUnavailable, match="cannot open store"):
        SqliteStore(str(tmp_path / "missing" / "store.db"))


# Disks


@pytest.fixture
def disk(tmp_path):
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("may not mount")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_read_only_disk_is_refused(disk):
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(StoreUnavailable, match="Read-only"):
        SqliteStore(str(disk / "store.db"))


async def _write_until_refused(store: SqliteStore) -> int:
    """Return how many writes were acknowledged before the disk refused one."""
    for count in range(1000):
        try:
            await store.create(f"k/{count}", os.urandom(50_000))
        except StoreUnavailable:
            return count
    raise AssertionError("the disk never refused")


async def _fills_and_recovers(path: str, make_room) -> None:
    store = SqliteStore(path)
    acknowledged = await _write_until_refused(store)
    assert acknowledged > 3
    assert store.revision() == acknowledged
    answers = await asyncio.gather(
        *(store.create(f"more/{n}", os.urandom(400_000)) for n in range(3)), return_exceptions=True
    )
    assert {type(answer) for answer in answers} == {StoreUnavailable}
    assert len((await store.range(""))[0]) == store.revision() == acknowledged
    make_room()
    assert await store.create("small", b"again") == acknowledged + 1
    await store.close()
    store = SqliteStore(path)
    assert store.revision() == acknowledged + 1
    await store.close()


async def test_a_full_disk_refuses_writes_until_there_is_room(disk):
    await _fills_and_recovers(
        str(disk / "store.db"), lambda: subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
    )


async def test_a_file_size_limit_refuses_writes_until_it_is_lifted(path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, hard))
    try:
        await _fills_and_recovers(path, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# Backup


async def test_a_backup_is_a_store_of_one_moment_while_writes_go_on(path, tmp_path):
    store = SqliteStore(path)
    await asyncio.gather(*(store.create(f"k/{n}", b"x" * 2000) for n in range(500)))
    copying = asyncio.ensure_future(store.backup(str(tmp_path / "copy.db")))
    during = 0
    while not copying.done() or during < 10:
        await store.create(f"during/{during}", b"")
        during += 1
    await copying
    everything = list(store.changes(0, 100_000))
    await store.close()
    copy = SqliteStore(str(tmp_path / "copy.db"))
    records, revision = await copy.range("")
    assert revision >= 500
    assert {record.key: record.value for record in records} == folded([], everything[:revision])
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
    await copy.close()


async def test_a_backup_never_replaces_a_file(path, tmp_path):
    (tmp_path / "copy.db").write_text("precious")
    store = SqliteStore(path)
    with pytest.raises(StoreError, match="the file exists"):
        await store.backup(str(tmp_path / "copy.db"))
    with pytest.raises(StoreUnavailable, match="cannot back up"):
        await store.backup(str(tmp_path / "missing" / "copy.db"))
    assert (tmp_path / "copy.db").read_text() == "precious"
    await store.close()
