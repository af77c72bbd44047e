"""Who asks for what this server does not do is told so, once."""

import pytest

from moorage.api.kinds import apiservice


@pytest.mark.parametrize(
    ("kind", "obj", "text"),
    [
        (apiservice, {"spec": {"service": {"name": "metrics", "namespace": "default"}}}, "not passed on"),
    ],
)
def test_a_warning_says_what_is_not_done_until_nothing_changes(kind, obj, text):
    (warning,) = kind.warnings(obj, None)
    assert text in warning
    assert kind.warnings(obj, obj) == []
