"""Expressions: their trees, their types and their values."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.objects.cel.checker import check
from moorage.objects.cel.cost import HUGE, Extent, estimate
from moorage.objects.cel.evaluation import evaluate
from moorage.objects.cel.functions import FUNCTIONS
from moorage.objects.cel.syntax import CelError, UInt, parse
from moorage.objects.cel.types import DYN, INT, STRING, functions, list_of, map_of, object_of, optional_of
from moorage.objects.cel.values import EvaluationError, Optional

SELF = object_of({"a": INT, "s": STRING, "l": list_of(INT), "m": map_of(STRING, INT), "x": DYN})
TYPES = {"self": SELF, "old": optional_of(SELF)}
VALUES: dict[str, Any] = {
    "self": {"a": 3, "s": "abc", "l": [1, 2, 3], "m": {"k": 1}, "x": "5%"},
    "old": Optional(),
}


def value_of(text: str) -> Any:
    node = parse(text)
    check(text, node, TYPES)
    return evaluate(node, VALUES)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3 - -4", 11),
        ("-7 / 2", -3),
        ("-7 % 2", -1),
        ("7u + 1u", UInt(8)),
        ("0x10 == 16 && 1 < 1.5 && 1u == dyn(1)", True),
        ("'a\\n' + r'\\d' + '''x'''", "a\n\\dx"),
        ("b'\\x00a'", b"\x00a"),
        ("self.a > 2 ? 'big' : 'small'", "big"),
        ("has(self.a) && !has(self.m.z)", True),
        ("self.l.all(x, x > 0) && self.l.exists(x, x == 2) && self.l.exists_one(x, x == 2)", True),
        ("self.l.filter(x, x > 1).map(x, x * 2)", [4, 6]),
        ("self.l.map(x, x > 1, x)", [2, 3]),
        ("self.m.all(k, self.m[k] == 1) && 'k' in self.m && 2 in self.l", True),
        ("self.l.all(i, v, v == i + 1)", True),
        ("type(self.x) == string && type(1) != uint", True),
        ("self.m[?'z'].orValue(7)", 7),
        ("old.hasValue() || old.?a.orValue(5) == 5", True),
        ("optional.of(1).optMap(x, x + 1).value()", 2),
        ("[1, ?optional.none(), 2].size()", 2),
        ("cel.bind(x, 2, x * x)", 4),
        ("'a,b,c'.split(',', 2)", ["a", "b,c"]),
        ("'Ab'.lowerAscii() + 'tacocat'.substring(4) + 'x'.charAt(0)", "abcatx"),
        ("'abc'.matches('^a.c$') && 'ab12'.find('[0-9]+') == '12'", True),
        ("[3, 1].max() + [1, 2].sum()", 6),
        ("duration('1h30m') == duration('90m') && duration('1m').getSeconds() == 60", True),
        ("timestamp('2026-01-02T03:04:05Z').getDate()", 2),
        ("timestamp('2026-01-02T00:00:00Z') - timestamp('2026-01-01T00:00:00Z') == duration('24h')", True),
        ("quantity('1Gi').isLessThan(quantity('2Gi')) && quantity('1k').asInteger() == 1000", True),
        ("url('https://a.b:8/c?d=e').getHost() + url('/p').getEscapedPath()", "a.b:8/p"),
        ("ip('10.0.0.1').family() == 4 && cidr('10.0.0.0/8').containsIP('10.1.1.1')", True),
        ("sets.contains([1, 2], [2]) && string(ip('::1')) == '::1'", True),
        ("format.dns1123Label().validate('a-b').hasValue()", False),
        ("format.named('uuid').value().validate('x').value()", ["does not match the UUID"]),
        ("semver('1.2.10').isGreaterThan(semver('1.2.9')) && semver('1.0.0-rc.1').isLessThan(semver('1.0.0'))", True),
        ("semver('v01.2', true).minor() + semver('1.2.3').patch()", 5),
        ("isSemver('1.2') || isSemver('1.2.03')", False),
        ("'%s is %d of %.1f'.format([dyn('a'), dyn(2), dyn(0.5)])", "a is 2 of 0.5"),
        ("[3, 1, 2].sort().slice(1, 3) == [2, 3] && [1, 1].distinct().size() == 1", True),
        ("['bb', 'a'].sortBy(x, x.size()).first().value()", "a"),
        ("{'a': 1}.transformMap(k, v, v + 1) == {'a': 2} && [5].transformList(i, v, i + v) == [5]", True),
        ("jsonpatch.escapeKey('a/b~c')", "a~1b~0c"),
        ("'x\\n'.matches('^x$')", False),
        ("true || 1 / 0 == 0", True),
        ("1 / 0 == 0 || true", True),
    ],
)
def test_an_expression_has_its_value(text: str, value: Any) -> None:
    assert value_of(text) == value
    assert type(value_of(text)) is type(value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("self.zz", "1:5: undefined field 'zz'"),
        ("zz", "1:1: undeclared reference to 'zz' (in container '')"),
        ("self.a == self.s", "1:8: found no matching overload for '_==_' applied to '(int, string)'"),
        ("self.s.contains(1)", "1:16: found no matching overload for 'contains' applied to 'string.(int)'"),
        ("self.a.all(x, x)", "1:5: expression of type 'int' cannot be range of a comprehension"),
        ("self.a >", "1:9: Syntax error: mismatched input '<EOF>' expecting"),
        ("self.", "1:6: Syntax error: no viable alternative at input '.'"),
        ("self.+ 1", "1:6: Syntax error: no viable alternative at input '.+'"),
        ("'a", "1:3: Syntax error: mismatched input '<EOF>'"),
        ("'a", "1:1: Syntax error: token recognition error at: ''a'"),
        (
            "Object{",
            "1:8: Syntax error: mismatched input '<EOF>' expecting {'}', ',', '?', IDENTIFIER, ESC_IDENTIFIER}",
        ),
        ("Object{a: 1}", "1:7: undeclared reference to 'Object' (in container '')"),
        ("[1, 'a']", "1:5: expected type 'int' but found 'string'"),
        ("self.s.matches('[')", "1:16: invalid matches argument"),
        ("duration('1 day')", "1:10: invalid duration argument"),
        ("for", "1:1: reserved identifier: for"),
        ("1\n  + self.zz", "2:9: undefined field 'zz'"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(text: str, fault: str) -> None:
    with pytest.raises(CelError) as error:
        value_of(text)
    assert f"ERROR: <input>:{fault}" in str(error.value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("self.l[3]", "index out of bounds: 3"),
        ("self.m['z']", "no such key: z"),
        ("1 / (self.a - 3)", "division by zero"),
        ("9223372036854775807 + 1", "integer overflow"),
        ("self.x + 1", "no such overload"),
        ("int(self.s)", "type conversion error from 'string' to 'int'"),
    ],
)
def test_what_has_no_value_says_why(text: str, fault: str) -> None:
    with pytest.raises(EvaluationError, match=fault):
        value_of(text)


def test_an_expression_cannot_run_for_ever() -> None:
    text = "[0,1,2,3,4,5,6,7,8,9]"
    for _ in range(6):
        text = f"[0,1,2,3,4,5,6,7,8,9].map(x, {text})"
    with pytest.raises(EvaluationError, match="cost limit exceeded"):
        evaluate(parse(text), {})


def test_every_declared_function_does_something() -> None:
    assert set(functions()) - set(FUNCTIONS) == {"_&&_", "_||_", "_?_:_"}


@given(st.text(max_size=40))
def test_any_text_is_an_expression_or_is_refused(text: str) -> None:
    with suppress(CelError):
        parse(text)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1).filter(bool))
def test_division_and_remainder_belong_together(one: int, other: int) -> None:
    try:
        quotient, rest = FUNCTIONS["_/_"](one, other), FUNCTIONS["_%_"](one, other)
    except EvaluationError:
        assert (one, other) == (-(2**63), -1)
    else:
        assert quotient * other + rest == one


def test_loops_in_loops_over_many_items_are_dear() -> None:
    extents = {"self": Extent(1, None, {"l": Extent(10**6, Extent()), "s": Extent(10)})}
    assert estimate(parse("self.s.contains('x')"), extents).cost < 10
    assert 10**6 < estimate(parse("self.l.all(x, x > 0)"), extents).cost < 10**7
    assert estimate(parse("self.l.all(x, self.l.all(y, x != y))"), extents).cost > 10**12
    assert estimate(parse("'a' + string(self)"), extents).cost > HUGE // 100
