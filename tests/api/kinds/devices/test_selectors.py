"""Expressions that select devices compile, or are refused in upstream's words."""

import pytest

from moorage.api.kinds.devices.selectors import EXPRESSION_MOST, validate_expression


@pytest.mark.parametrize(
    "text",
    [
        'device.driver == "gpu.example.com"',
        'device.attributes["a.example.com"].family == "x"',
        'device.attributes["a.example.com"].enabled',
        'device.capacity["a.example.com"].memory.isGreaterThan(quantity("1Gi"))',
        'cel.bind(own, device.attributes["a.example.com"], own.one && own.two)',
        "device.allowMultipleAllocations",
    ],
)
def test_what_selects_devices_is_right(text: str) -> None:
    assert validate_expression("p", text) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1", 'Invalid value: "1": must evaluate to bool or the unknown type, not int'),
        ("device.foo", "undefined field 'foo'\n | device.foo\n | ......^"),
        ("", "ERROR: <input>:1:0: Syntax error: mismatched input '<EOF>'"),
        ("x" * (EXPRESSION_MOST + 1), "Too long: may not be more than 10240 bytes"),
        (
            "device.attributes.all(a, device.attributes.all(b, device.attributes.all(c, device.attributes.all(d, "
            'device.driver.matches("a.*")))))',
            "Forbidden: too complex, exceeds cost limit",
        ),
    ],
)
def test_what_does_not_is_refused(text: str, message: str) -> None:
    (cause,) = validate_expression("p", text)
    assert message in cause.message
