"""The image store: archives, layouts, references, what a crash leaves."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.node.images import archive
from moorage.node.images.store import ImageStore
from moorage.node.runtimes.runtime import RuntimeFailure
from tests.node.images.made import MadeImage, digest, docker_archive, layer, layout, tar

BOTTOM, TOP = layer(("etc/os", b"made")), layer(("app/run", b"#!/bin/sh"))
IMAGE = MadeImage([BOTTOM, TOP], Cmd=["/app/run"], User="7")


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


async def test_a_docker_archive_is_loaded_under_its_names(tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "store")
    (image,) = await store.load(write(tmp_path / "a.tar", docker_archive(IMAGE, "app:1", "app:2")))
    assert image.id == digest(IMAGE.config)
    assert store.resolve("app:1") == store.resolve("docker.io/library/app:2") == store.resolve(image.id) == image
    assert (Path(image.layers[1]) / "app/run").exists()
    assert image.status().user == "7"
    assert image.status().size_bytes == len(b"made") + len(b"#!/bin/sh")


@pytest.mark.parametrize("packed", [True, False])
async def test_an_oci_layout_is_loaded_from_a_directory_or_an_archive(tmp_path: Path, packed: bool) -> None:
    files = layout(IMAGE, "registry.example/app:3")
    path = tmp_path / "layout"
    if packed:
        write(path, tar(files))
    else:
        for name, data in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
    store = ImageStore(tmp_path / "store")
    await store.load(path)
    assert store.resolve("registry.example/app:3") is not None


async def test_a_store_that_is_opened_again_has_the_same_images(tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "store")
    await store.load(write(tmp_path / "a.tar", docker_archive(IMAGE, "app:1")))
    (tmp_path / "store/tmp/half").mkdir()
    again = ImageStore(tmp_path / "store")
    assert {one.id: one.status() for one in again.list()} == {one.id: one.status() for one in store.list()}
    assert not list((tmp_path / "store/tmp").iterdir())


async def test_a_name_moves_to_the_image_that_was_loaded_last(tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "store")
    (old,) = await store.load(write(tmp_path / "a.tar", docker_archive(IMAGE, "app:1")))
    (new,) = await store.load(write(tmp_path / "b.tar", docker_archive(MadeImage([TOP]), "app:1")))
    assert store.resolve("app:1") == new
    assert store.resolve(old.id).references == ()  # type: ignore[union-attr]


async def test_removing_an_image_keeps_layers_that_another_one_uses(tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "store")
    (both,) = await store.load(write(tmp_path / "a.tar", docker_archive(IMAGE, "app:1")))
    await store.load(write(tmp_path / "b.tar", docker_archive(MadeImage([TOP]), "top:1")))
    await store.remove("app:1")
    await store.remove("app:1")
    assert store.resolve("app:1") is None
    assert [Path(one).is_dir() for one in both.layers] == [False, True]
    assert ImageStore(tmp_path / "store").resolve("top:1") is not None


async def test_an_image_in_use_is_not_removed(tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "store")
    (image,) = await store.load(write(tmp_path / "a.tar", docker_archive(IMAGE, "app:1", "app:2")))
    store.count_users(lambda: [image.id])
    await store.remove("app:1")
    with pytest.raises(RuntimeFailure) as refused:
        await store.remove("app:2")
    assert refused.value.reason == "ImageInUse"


async def test_the_host_image_is_always_here(tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "store")
    image = store.resolve("moorage.local/host")
    assert image is not None
    assert await store.pull("moorage.local/host:latest") == image
    await store.remove("moorage.local/host")
    assert store.resolve("moorage.local/host") == image
    assert all(one.read_only for one in image.mounts)


BAD_ARCHIVES: dict[str, bytes] = {
    "empty": b"",
    "no archive": b"hello" * 500,
    "neither kind": tar({"file": b""}),
    "not JSON": tar({"manifest.json": b"{"}),
    "not a list": tar({"manifest.json": b"{}"}),
    "no images": tar({"manifest.json": b"[]"}),
    "no layers": tar({"manifest.json": b'[{"Config": "c"}]'}),
    "missing configuration": tar({"manifest.json": b'[{"Config": "c", "Layers": []}]'}),
    "names that are none": docker_archive(IMAGE, "Not A Name"),
    "a layer that is missing": docker_archive(IMAGE, "a:1", Layers=["0/layer.tar", "absent"]),
    "too few layers": docker_archive(IMAGE, "a:1", Layers=["0/layer.tar"]),
    "another layer": docker_archive(IMAGE, "a:1", Layers=["1/layer.tar", "0/layer.tar"]),
    "wrong blob": tar({**layout(IMAGE), f"blobs/sha256/{digest(IMAGE.blobs[0])[7:]}": b"x"}),
    "index of nothing": tar({"index.json": b'{"manifests": [1]}'}),
    "a digest with a path": tar({"index.json": b'{"manifests": [{"digest": "sha256:../../../../etc/passwd"}]}'}),
    "deep JSON": tar({"manifest.json": b"[" * 100_000}),
}


@pytest.mark.parametrize("name", BAD_ARCHIVES)
async def test_a_bad_archive_is_a_clear_failure_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    store = ImageStore(tmp_path / "store")
    with pytest.raises(RuntimeFailure, match=r"[a-z]"):
        await store.load(write(tmp_path / "a.tar", BAD_ARCHIVES[name]))
    assert not list((tmp_path / "store/tmp").iterdir())
    assert [one.references for one in store.list()] == [("moorage.local/host:latest",)]


async def test_an_archive_that_is_not_there_is_a_clear_failure(tmp_path: Path) -> None:
    with pytest.raises(RuntimeFailure, match="cannot be read"):
        await ImageStore(tmp_path / "store").load(tmp_path / "absent.tar")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Config", "Layers", "RepoTags", "manifests", "digest", "config", "layers"]), inner
        )
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(JSON, st.sampled_from(["manifest.json", "index.json"]))
def test_any_json_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, value: Any, name: str) -> None:
    work = tmp_path_factory.mktemp("work")
    path = write(work / f"a-{os.getpid()}.tar", tar({name: json.dumps(value).encode()}))
    try:
        archive.read(path, work)
    except RuntimeFailure as failure:
        assert failure.reason == "InvalidImageArchive"  # noqa: PT017
