"""Unpacking layers: nothing lands outside, whatever the archive says."""

import gzip
import os
import stat
import tarfile
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.node.images.layers import unpack_layer
from moorage.node.runtimes.runtime import RuntimeFailure
from tests.node.images.made import digest, entry, layer

ROOTLESS = os.geteuid() != 0
SYM, LNK, DIR = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE


def unpack(directory: Path, data: bytes, diff_id: str = "") -> Path:
    (directory / "blob").write_bytes(data)
    unpack_layer(directory / "blob", directory / "layer", diff_id, rootless=ROOTLESS)
    return directory / "layer"


def test_files_links_and_modes_arrive(tmp_path: Path) -> None:
    made = entry("bin", DIR, mode=0o755)
    root = unpack(
        tmp_path,
        layer(
            made,
            ("bin/tool", b"binary"),
            entry("bin/sh", SYM, "tool"),
            entry("bin/same", LNK, "bin/tool"),
            ("./a/b/c", b"x"),
        ),
    )
    assert (root / "bin/tool").read_bytes() == b"binary"
    assert os.readlink(root / "bin/sh") == "tool"
    assert (root / "bin/same").stat().st_ino == (root / "bin/tool").stat().st_ino
    assert (root / "a/b/c").read_text() == "x"
    assert stat.S_IMODE((root / "bin").stat().st_mode) == 0o755


def test_whiteouts_become_overlays(tmp_path: Path) -> None:
    root = unpack(tmp_path, layer(("etc/.wh.gone", b""), ("opt/.wh..wh..opq", b""), ("opt/new", b"x")))
    gone = (root / "etc/gone").lstat()
    assert stat.S_ISCHR(gone.st_mode)
    assert gone.st_rdev == 0
    assert os.getxattr(root / "opt", ("user" if ROOTLESS else "trusted") + ".overlay.opaque") == b"y"
    assert (root / "opt/new").exists()


@pytest.mark.parametrize("packing", ["plain", "gzip", "zstd"])
def test_packed_layers_are_told_apart_and_compared_with_their_diff_id(tmp_path: Path, packing: str) -> None:
    plain = layer(("file", b"content"))
    data = {"plain": plain, "gzip": gzip.compress(plain)}.get(packing)
    if data is None:
        data = pytest.importorskip("zstandard").compress(plain)
    root = unpack(tmp_path, data, digest(plain))
    assert (root / "file").read_text() == "content"


def test_another_content_than_the_diff_id_says_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeFailure, match="its image says"):
        unpack(tmp_path, layer(("file", b"content")), digest(b"another"))
    assert not (tmp_path / "layer").exists()


ESCAPES = {
    "dots": [("../evil", b"x")],
    "dots inside": [("a/../../evil", b"x")],
    "dots in a directory": [entry("../evil", DIR)],
    "relative link": [entry("up", SYM, "../../.."), ("up/evil", b"x")],
    "link to a link": [entry("one", SYM, ".."), entry("two", SYM, "one/.."), ("two/evil", b"x")],
    "hard link outside": [entry("passwd", LNK, "../../../../../../etc/passwd")],
    "hard link through a link": [entry("up", SYM, "../.."), entry("stolen", LNK, "up/secret")],
    "hard link to nothing": [entry("a", LNK, "b")],
    "link circle": [entry("a", SYM, "b"), entry("b", SYM, "a"), ("a/x", b"x")],
    "through a file": [("file", b"x"), ("file/inner", b"x")],
    "whiteout outside": [("../.wh.secret", b"")],
    "whiteout of the parent": [(".wh...", b"")],
    "whiteout of itself": [("dir/.wh..", b"")],
    "whiteout of nothing": [("dir/.wh.", b"")],
    "hard link to a directory": [entry("dir", DIR), entry("other", LNK, "dir")],
    "a name that is too long": [("x" * 300, b"")],
}


@pytest.mark.parametrize("name", ESCAPES)
def test_what_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("secret")
    with pytest.raises(RuntimeFailure) as refused:
        unpack(tmp_path, layer(*ESCAPES[name]))
    assert refused.value.reason == "InvalidImageLayer"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["blob", "secret"]


def test_absolute_names_and_links_stay_inside(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root = unpack(tmp_path, layer(("/etc/file", b"x"), entry("link", SYM, str(outside)), ("link/file", b"x")))
    assert (root / "etc/file").exists()
    assert not list(outside.iterdir())
    assert (root / str(outside).lstrip("/") / "file").exists()


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("mine")
    root = unpack(tmp_path, layer(entry("file", SYM, str(tmp_path / "target")), ("file", b"theirs")))
    assert (tmp_path / "target").read_text() == "mine"
    assert (root / "file").read_text() == "theirs"


@pytest.mark.parametrize(
    "data",
    [
        b"not an archive at all" * 100,
        b"\x1f\x8bbroken gzip",
        b"\x28\xb5\x2f\xfdbroken zstd" * 10,
        gzip.compress(layer(("file", b"x" * 10000)))[:-50],
        layer(("file", b"x" * 100000))[:20000],
    ],
)
def test_broken_archives_are_clear_failures(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(RuntimeFailure) as refused:
        unpack(tmp_path, data)
    assert refused.value.reason == "InvalidImageLayer"
    assert not (tmp_path / "layer").exists()


NAMES = st.lists(
    st.sampled_from(["a", "b", "..", ".", "", ".wh.a", ".wh..wh..opq", ".wh..", ".wh...", ".wh."]),
    min_size=1,
    max_size=4,
).map("/".join)
ANY_ENTRY = st.one_of(
    st.tuples(NAMES, st.binary(max_size=5)),
    st.builds(
        entry, NAMES, st.sampled_from([SYM, LNK, DIR, tarfile.FIFOTYPE]), st.one_of(NAMES, NAMES.map("/".__add__))
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ANY_ENTRY, max_size=8))
def test_nothing_ever_lands_outside(entries: list[tarfile.TarInfo | tuple[str, bytes]]) -> None:
    with TemporaryDirectory() as name:
        top = Path(name) / "top"
        top.mkdir()
        (top / "a").write_text("untouched")
        with suppress(RuntimeFailure):
            unpack(top, layer(*entries))
        assert {one.name for one in top.iterdir()} <= {"a", "blob", "layer"}
        assert (top / "a").read_text() == "untouched"
        assert [one.name for one in Path(name).iterdir()] == ["top"]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_flipped_bytes_are_read_or_refused(data: st.DataObject) -> None:
    plain = bytearray(layer(("dir/file", b"content"), entry("link", SYM, "dir/file"), ("other", b"y" * 600)))
    for _ in range(data.draw(st.integers(1, 5))):
        plain[data.draw(st.integers(0, len(plain) - 1))] = data.draw(st.integers(0, 255))
    with TemporaryDirectory() as name:
        try:
            unpack(Path(name), bytes(plain))
        except RuntimeFailure as failure:
            assert failure.reason == "InvalidImageLayer"  # noqa: PT017
