from moorage.objects.schema import definition_names, named_type, type_from_structural, type_of


def test_container_ports_merge_by_other_keys_in_patches_than_in_apply() -> None:
    pod = type_of("v1", "Pod")
    assert pod is not None
    containers = pod.fields["spec"].fields["containers"]
    assert containers.items is not None
    ports = containers.items.fields["ports"]
    assert ports.list_map_keys == ("containerPort", "protocol")
    assert ports.merge_key == "containerPort"
    assert ports.patch_strategies == ("merge",)


def test_a_list_without_a_list_type_takes_it_from_its_patch_strategy() -> None:
    meta = named_type("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
    finalizers = meta.fields["finalizers"]
    assert (finalizers.list_type, finalizers.merge_key) == ("set", "")


def test_a_strategy_that_retains_keys_is_kept() -> None:
    spec = named_type("io.k8s.api.apps.v1.DeploymentSpec")
    assert "retainKeys" in spec.fields["strategy"].patch_strategies


def test_every_published_type_can_be_walked() -> None:
    for name in definition_names():
        for field in named_type(name).fields.values():
            assert field.kind
            assert (field.kind == "list") == (field.items is not None)
            assert (field.kind == "map") == (field.values is not None)


def test_unknown_kinds_have_no_type() -> None:
    assert type_of("v1", "Nothing") is None


def test_options_have_types_in_every_group() -> None:
    assert type_of("apps/v1", "DeleteOptions") is type_of("v1", "DeleteOptions")


def test_custom_resources_have_the_built_in_metadata() -> None:
    type_ = type_from_structural(
        {
            "type": "object",
            "properties": {
                "metadata": {"type": "object"},
                "spec": {
                    "type": "object",
                    "properties": {
                        "ports": {
                            "type": "array",
                            "x-kubernetes-list-type": "map",
                            "x-kubernetes-list-map-keys": ["name"],
                            "items": {"type": "object", "properties": {"name": {"type": "string"}}},
                        },
                        "size": {"x-kubernetes-int-or-string": True},
                        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    },
                },
            },
        }
    )
    spec = type_.fields["spec"]
    assert type_.fields["metadata"].fields["finalizers"].list_type == "set"
    assert spec.fields["ports"].list_map_keys == ("name",)
    assert spec.fields["size"].kind == "int-or-string"
    assert spec.fields["free"].preserves_unknown
    assert spec.fields["labels"].kind == "map"
