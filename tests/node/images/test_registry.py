"""Pulling from a registry on loopback: tokens, passwords, redirects, mirrors, broken answers."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moorage.node.images.registry import (
    Registries,
    docker_credentials,
    endpoints_for,
    is_loopback,
    read_registries,
)
from moorage.node.images.store import ImageStore
from moorage.node.runtimes.runtime import RuntimeFailure
from tests.node.images.made import MadeImage, Registry, digest, layer, serving

IMAGE = MadeImage([layer(("one", b"1")), layer(("two", b"2"))], Cmd=["/one"])


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    async with serving() as registry:
        registry.push("app:1", IMAGE)
        yield registry


async def test_an_image_is_pulled_and_found_by_tag_and_digest(tmp_path: Path, registry: Registry) -> None:
    store = ImageStore(tmp_path)
    image = await store.pull(f"{registry.address}/app:1")
    assert image.id == digest(IMAGE.config)
    assert image.status().digest == f"{registry.address}/app@{digest(IMAGE.manifest)}"
    assert (Path(image.layers[1]) / "two").read_text() == "2"
    assert store.resolve(f"{registry.address}/app@{digest(IMAGE.manifest)}") == image
    assert ImageStore(tmp_path).resolve(f"{registry.address}/app:1") == image


async def test_layers_that_are_here_are_not_fetched_again(tmp_path: Path, registry: Registry) -> None:
    store = ImageStore(tmp_path)
    await store.pull(f"{registry.address}/app:1")
    registry.push("app:2", MadeImage([layer(("one", b"1")), layer(("three", b"3"))]))
    registry.asked.clear()
    await store.pull(f"{registry.address}/app:2")
    assert not any(digest(IMAGE.blobs[0]) in path for path in registry.asked)


async def test_of_an_index_the_manifest_for_this_machine_is_taken(tmp_path: Path, registry: Registry) -> None:
    import platform

    from moorage.node.images.manifest import ARCHITECTURES

    where = {"os": "linux", "architecture": ARCHITECTURES[platform.machine()]}
    others = [{"digest": digest(b"x"), "platform": {"os": "unknown", "architecture": "unknown"}}]
    index = {"manifests": [*others, {"digest": digest(IMAGE.manifest), "platform": where}]}
    registry.tags["app:many"] = json.dumps(index).encode()
    assert (await ImageStore(tmp_path).pull(f"{registry.address}/app:many")).id == digest(IMAGE.config)
    registry.tags["app:other"] = json.dumps({"manifests": others}).encode()
    with pytest.raises(RuntimeFailure, match=r"no match for platform in manifest: .* there is unknown/unknown"):
        await ImageStore(tmp_path).pull(f"{registry.address}/app:other")


@pytest.mark.parametrize("auth", ["basic", "token"])
async def test_credentials_are_given_when_asked_for(tmp_path: Path, registry: Registry, auth: str) -> None:
    registry.auth = auth
    store = ImageStore(tmp_path)
    with pytest.raises(RuntimeFailure, match="may require authorization") as refused:
        await store.pull(f"{registry.address}/app:1")
    assert refused.value.reason == "ErrImagePull"
    await store.pull(f"{registry.address}/app:1", {registry.address: ("user", "secret")})


async def test_credentials_do_not_follow_a_redirect(tmp_path: Path, registry: Registry) -> None:
    registry.auth = "basic"
    async with serving() as elsewhere:
        elsewhere.push("app:1", IMAGE)
        registry.redirect = f"http://{elsewhere.address}"
        await ImageStore(tmp_path).pull(f"{registry.address}/app:1", {registry.address: ("user", "secret")})
        assert set(elsewhere.authorizations) == {None}
    secret = base64.b64encode(b"user:secret").decode()
    assert f"Basic {secret}" in registry.authorizations


async def test_plain_http_is_refused_beyond_loopback(tmp_path: Path, registry: Registry) -> None:
    registry.redirect = "http://registry.example"
    with pytest.raises(RuntimeFailure, match="plain HTTP is not allowed"):
        await ImageStore(tmp_path).pull(f"{registry.address}/app:1")


async def test_a_mirror_is_asked_first_and_need_not_have_it(tmp_path: Path, registry: Registry) -> None:
    registry.push("library/app:1", IMAGE)
    registries = Registries(mirrors={"docker.io": (f"http://{registry.address}",)})
    store = ImageStore(tmp_path, registries=registries)
    assert (await store.pull("app:1")).references[0] == "docker.io/library/app:1"
    fallback = Registries(mirrors={registry.address: ("http://127.0.0.1:1",)})
    await ImageStore(tmp_path / "b", registries=fallback).pull(f"{registry.address}/app:1")


async def test_what_is_not_there_is_not_found(tmp_path: Path, registry: Registry) -> None:
    with pytest.raises(RuntimeFailure, match=f"{registry.address}/app:9: not found") as refused:
        await ImageStore(tmp_path).pull(f"{registry.address}/app:9")
    assert refused.value.reason == "ErrImagePull"


async def test_a_registry_that_does_not_answer_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(RuntimeFailure) as refused:
        await ImageStore(tmp_path).pull("127.0.0.1:1/app:1")
    assert (refused.value.reason, refused.value.temporary) == ("RegistryUnavailable", True)


async def test_another_content_than_the_digest_is_refused(tmp_path: Path, registry: Registry) -> None:
    for broken in (digest(IMAGE.blobs[0]), digest(IMAGE.config), digest(IMAGE.manifest)):
        kept = registry.blobs[broken]
        registry.blobs[broken] = b"{}"
        with pytest.raises(RuntimeFailure, match="digest") as refused:
            await ImageStore(tmp_path / broken).pull(f"{registry.address}/app@{digest(IMAGE.manifest)}")
        assert refused.value.reason == "ErrImagePull"
        registry.blobs[broken] = kept


@pytest.mark.parametrize("manifest", [b"", b"[]", b"{", b"{}", b'{"config": {"digest": "md5:x"}, "layers": []}'])
async def test_a_broken_manifest_is_a_clear_failure(tmp_path: Path, registry: Registry, manifest: bytes) -> None:
    registry.tags["app:bad"] = manifest
    with pytest.raises(RuntimeFailure) as refused:
        await ImageStore(tmp_path).pull(f"{registry.address}/app:bad")
    assert refused.value.reason == "ErrImagePull"


def test_the_configuration_file_is_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "registries.yaml"
    path.write_text("mirrors: {docker.io: [https://mirror.example/]}\ninsecure: ['registry.example:5000']\n")
    found = read_registries(path)
    assert endpoints_for(found, "docker.io") == ["https://mirror.example", "https://registry-1.docker.io"]
    assert endpoints_for(found, "registry.example:5000") == ["http://registry.example:5000"]
    for bad in ("mirror: {}", "mirrors: {a: [ftp://x]}", "[1]", "{", "mirrors: 7"):
        path.write_text(bad)
        with pytest.raises(RuntimeFailure) as refused:
            read_registries(path)
        assert refused.value.reason == "InvalidRegistriesFile"


def test_loopback_is_told_apart() -> None:
    assert all(is_loopback(host) for host in ("localhost", "localhost:5000", "127.0.0.1:1", "[::1]:5000", "[::1]"))
    assert not any(is_loopback(host) for host in ("example.com", "10.0.0.1:80", "127.0.0.1.example.com"))


def test_logins_of_docker_are_read_and_others_left_out() -> None:
    packed = base64.b64encode(b"user:se:cret").decode()
    auths = {
        "https://index.docker.io/v1/": {"auth": packed},
        "registry.example:5000": {"username": "a", "password": "b"},
        "bad.example": {"auth": "!"},
        "odd.example": 7,
    }
    assert docker_credentials(json.dumps({"auths": auths}).encode()) == {
        "docker.io": ("user", "se:cret"),
        "registry.example:5000": ("a", "b"),
    }
    for nothing in (b"", b"[]", b"{}", b'{"auths": []}'):
        assert docker_credentials(nothing) == {}
