"""Label selectors: what texts and objects take, and what is said about wrong ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.objects.errors import BadRequest
from moorage.objects.selectors import parse_label_requirements, parse_label_selector, parse_selector_object

LABELS = {"env": "prod", "tier": "web", "n": "5"}


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("", True),
        ("env=prod", True),
        ("env==prod,tier", True),
        (" env = prod , tier ", True),
        ("env!=prod", False),
        ("gone!=prod", True),
        ("env in (dev,prod)", True),
        ("env notin (dev)", True),
        ("env in ()", False),
        ("!gone", True),
        ("!env", False),
        ("n>4", True),
        ("n>5", False),
        ("n<6", True),
        ("tier>1", False),
        ("in=1", False),
        ("env=prod,env=dev", False),
    ],
)
def test_a_text_takes_the_labels_that_meet_all_its_conditions(text, taken):
    assert parse_label_selector(text)(LABELS) is taken


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("env in (prod", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("env in prod", "unable to parse requirement: found 'prod' expected: '('"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=b,,c", "found ',', expected: identifier after ','"),
        ("=", "found '=', expected: !, identifier, or 'end of string'"),
        ("!env=prod", "found '=', expected: ',' or 'end of string'"),
        (
            "n>x",
            'unable to parse requirement: values[0]: Invalid value: "x": '
            "for 'Gt', 'Lt' operators, the value must be an integer",
        ),
    ],
)
def test_a_wrong_text_is_refused_in_upstreams_words(text, message):
    with pytest.raises(BadRequest) as refusal:
        parse_label_selector(text)
    assert refusal.value.message == message


def test_values_may_stand_between_commas_alone():
    assert parse_label_requirements("a in (,b)")[0].values == ("", "b")
    assert parse_label_requirements("a in (b,,c,)")[0].values == ("", "b", "c")


def test_no_object_takes_nothing_and_an_empty_one_everything():
    assert not parse_selector_object(None)(LABELS)
    assert parse_selector_object({})({})


words = st.sampled_from(["a", "b", "c"])


@given(st.dictionaries(words, words), st.dictionaries(words, words), words, st.lists(words, min_size=1))
def test_an_object_takes_what_the_text_with_the_same_meaning_takes(labels, wanted, key, values):
    selector = {"matchLabels": wanted, "matchExpressions": [{"key": key, "operator": "NotIn", "values": values}]}
    text = ",".join([f"{key} notin ({','.join(values)})", *(f"{name}={value}" for name, value in wanted.items())])
    assert parse_selector_object(selector)(labels) is parse_label_selector(text)(labels)
