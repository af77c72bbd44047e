"""Options of what reaches inside a pod."""

import pytest

from moorage.objects.errors import BadRequest, Invalid
from moorage.server.pod_options import chosen_container, log_options, ports_of

POD = {
    "metadata": {"name": "p"},
    "spec": {
        "initContainers": [{"name": "i"}],
        "containers": [{"name": "c"}, {"name": "d"}],
        "ephemeralContainers": [{"name": "e"}],
    },
}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"tailLines": "-1"}, "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        ({"limitBytes": "0"}, "limitBytes: Invalid value: 0: must be greater than 0"),
        ({"sinceSeconds": "0"}, "sinceSeconds: Invalid value: 0: must be greater than 0"),
        ({"stream": "x"}, "stream: Forbidden: may not be specified"),
        (
            {"sinceSeconds": "1", "sinceTime": "2020-01-01T00:00:00Z"},
            "[]: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified",
        ),
    ],
)
def test_options_that_make_no_sense_are_invalid(query, said):
    with pytest.raises(Invalid) as refusal:
        log_options(query, "p")
    assert refusal.value.message == f'PodLogOptions "p" is invalid: {said}'


def test_options_that_cannot_be_read_are_bad_requests():
    with pytest.raises(BadRequest, match='parsing "x": invalid syntax'):
        log_options({"sinceSeconds": "x"}, "p")
    with pytest.raises(BadRequest, match='parsing time "yesterday"'):
        log_options({"sinceTime": "yesterday"}, "p")


def test_booleans_may_be_empty():
    options = log_options({"follow": "", "previous": "False"}, "p")
    assert (options.follow, options.previous) == (True, False)


def test_a_container_must_be_named_where_there_are_several():
    assert chosen_container(POD, "i") == "i"
    assert chosen_container({**POD, "spec": {"containers": [{"name": "c"}]}}, "") == "c"
    with pytest.raises(BadRequest) as refusal:
        chosen_container(POD, "")
    assert refusal.value.message == "a container name must be specified for pod p, choose one of: [i c d e]"
    with pytest.raises(BadRequest, match="container x is not valid for pod p"):
        chosen_container(POD, "x")


def test_ports_are_numbers_above_zero():
    assert ports_of(["80,443", "8080"]) == (80, 443, 8080)
    for texts in ([], ["0"], ["-1"], ["65536"], ["http"], [""]):
        with pytest.raises(BadRequest):
            ports_of(texts)
