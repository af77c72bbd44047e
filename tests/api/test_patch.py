"""Tests of patches."""

import pytest

from moorage.objects.errors import Invalid, UnsupportedMediaType
from tests.api.world import World

CONFIG = {"metadata": {"name": "a"}, "data": {"k": "1"}}
TEMPLATE = {"metadata": {"name": "t"}, "template": {"spec": {"containers": [{"name": "c", "image": "nginx"}]}}}


@pytest.fixture
async def patched(world: World):
    await world.create("configmaps", CONFIG)
    await world.create("podtemplates", TEMPLATE)
    return world


async def test_a_strategic_merge_that_makes_no_object_is_told_as_gos_converter_does(patched: World):
    for containers, why in (
        ("x", "cannot restore slice from string"),
        ([{"name": "c", "image": 5}], "cannot convert int64 to string"),
    ):
        with pytest.raises(Invalid) as refusal:
            await patched.patch("podtemplates", "t", {"template": {"spec": {"containers": containers}}}, "strategic")
        (cause,) = refusal.value.causes
        assert cause.field == "patch"
        assert cause.message.startswith('Invalid value: "map[template:map[spec:map[containers:')
        assert cause.message.endswith(f": {why}")


async def test_other_patches_show_what_they_made_of_the_object(patched: World):
    with pytest.raises(Invalid) as refusal:
        await patched.patch("configmaps", "a", {"data": {"k": 5}})
    message = refusal.value.causes[0].message
    assert message.startswith('Invalid value: "{\\"apiVersion\\":\\"v1\\",\\"data\\":{\\"k\\":5}')
    assert message.endswith("json: cannot unmarshal number into Go struct field ConfigMap.data of type string")


async def test_every_kind_of_patch_changes_the_object(patched: World):
    await patched.patch("configmaps", "a", [{"op": "add", "path": "/data/j", "value": "1"}], "json")
    await patched.patch("configmaps", "a", {"data": {"m": "1"}})
    await patched.patch("configmaps", "a", {"data": {"s": "1", "k": None}}, "strategic")
    assert (await patched.get("configmaps", "a"))["data"] == {"j": "1", "m": "1", "s": "1"}


async def test_other_types_of_patches_are_refused(patched: World):
    request = patched.request("patch", "configmaps", "a", None, {})
    with pytest.raises(UnsupportedMediaType):
        await patched.api.patch(request, {}, "application/json")
