"""What workload controllers share."""

from hypothesis import given
from hypothesis import strategies as st

from moorage.objects import workloads
from moorage.objects.label_selectors import is_selected

TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "a<b>&c"}]}}


def test_hashes_use_letters_that_are_safe_in_names() -> None:
    assert workloads.safe_text(1234567890) == "56789bcdf4"
    assert set(workloads.template_hash(TEMPLATE)) <= set("456789bcdf")


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=4))
def test_a_hash_does_not_depend_on_the_order_of_keys(labels: dict[str, str]) -> None:
    turned = dict(reversed(labels.items()))
    assert workloads.template_hash({"a": labels}) == workloads.template_hash({"a": turned})
    assert workloads.revision_hash({"a": labels}, 0) == workloads.revision_hash({"a": turned}, 0)


def test_counting_a_collision_changes_the_hash() -> None:
    hashes = {workloads.revision_hash(TEMPLATE, count) for count in (None, 0, 1, 2)}
    assert len(hashes) == 4


def test_a_revision_hash_is_fnv_1_of_the_json_that_go_writes() -> None:
    """The reference value is FNV-1 (32 bits) of `{}0`, worked out by hand."""
    value = 0x811C9DC5
    for byte in b"{}0":
        value = (value * 0x01000193) % 2**32 ^ byte
    assert workloads.revision_hash({}, 0) == workloads.safe_text(value)


def test_percentages_are_rounded_as_asked() -> None:
    assert workloads.percent_of("60%", 4, up=False) == 2
    assert workloads.percent_of("60%", 4, up=True) == 3
    assert workloads.percent_of(3, 4, up=True) == 3
    assert workloads.percent_of(None, 4, up=True) == 0


def test_long_names_make_shorter_prefixes() -> None:
    assert workloads.prefix_for("web") == "web-"
    assert len(workloads.prefix_for("a" * 80)) == workloads.PREFIX_MOST


def test_revisions_are_sorted_by_number_then_age_then_name() -> None:
    def revision(name: str, number: int, created: str) -> dict[str, object]:
        return {"metadata": {"name": name, "creationTimestamp": created}, "revision": number}

    made = [revision("d", 2, "2"), revision("b", 1, "2"), revision("c", 1, "1"), revision("a", 1, "2")]
    assert [each["metadata"]["name"] for each in workloads.sort_revisions(made)] == ["c", "a", "b", "d"]


def test_releasing_keeps_other_owners() -> None:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web", "uid": "u1"}}
    references = [{"uid": "u1"}, {"uid": "u2"}]
    obj = {"metadata": {"name": "p", "uid": "p1", "resourceVersion": "7", "ownerReferences": references}}
    patch = workloads.release("pods", obj, owner).patch
    assert patch["metadata"] == {"ownerReferences": [{"uid": "u2"}], "uid": "p1", "resourceVersion": "7"}


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    old = {"type": "A", "status": "True", "lastTransitionTime": "then", "reason": "x"}
    new = {"type": "A", "status": "True", "lastTransitionTime": "now", "reason": "y"}
    assert workloads.with_condition([old], new) == [{**new, "lastTransitionTime": "then"}]
    turned = {**new, "status": "False"}
    assert workloads.with_condition([old], turned) == [turned]


def test_selectors_say_which_labels_they_take() -> None:
    def takes(selector: dict[str, object] | None) -> bool:
        return is_selected(selector, {"app": "web", "tier": "front"})

    def expression(operator: str, key: str, *values: str) -> dict[str, object]:
        return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}

    assert takes({})
    assert not takes(None)
    assert takes({"matchLabels": {"app": "web"}})
    assert not takes({"matchLabels": {"app": "x"}})
    assert takes(expression("In", "tier", "front", "back"))
    assert not takes(expression("NotIn", "tier", "front"))
    assert takes(expression("NotIn", "zone", "a"))
    assert takes(expression("Exists", "app"))
    assert takes(expression("DoesNotExist", "zone"))
    assert not takes(expression("Sideways", "zone"))
