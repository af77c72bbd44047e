"""Targets become resources, or other pages, and never anything else."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.objects.kinds import find_resource
from moorage.server.routes import (
    BadTarget,
    Fault,
    OtherPath,
    ResourcePath,
    all_values,
    fault_of,
    first_values,
    is_true,
    parse_path,
    parse_query,
    verb_for,
)

names = st.text(st.characters(blacklist_characters="/", blacklist_categories=("Cs",)), min_size=1, max_size=20)
words = st.from_regex(r"[a-z]{1,8}", fullmatch=True).filter(lambda word: word not in ("watch", "namespaces"))


@given(words, words, words, names, names, words)
def test_every_part_of_a_path_is_found_again(group, version, plural, namespace, name, subresource):
    path = f"/apis/{group}/{version}/namespaces/{quote(namespace, '')}/{plural}/{quote(name, '')}/{subresource}"
    found = parse_path(path)
    if plural in ("status", "finalize"):
        return
    assert found == ResourcePath(group, version, plural, namespace, name, subresource)
    assert parse_path(path + "/") == found


@given(st.text(max_size=60))
def test_any_text_is_a_path_or_a_bad_one(text):
    try:
        found = parse_path("/" + text)
    except BadTarget:
        assert "%" in text
    else:
        assert isinstance(found, ResourcePath | OtherPath)


@given(st.lists(st.tuples(names, st.text(st.characters(blacklist_categories=("Cs",)), max_size=10)), max_size=6))
def test_a_query_is_read_back(pairs):
    raw = "&".join(f"{quote(name, '')}={quote(value, '')}" for name, value in pairs)
    assert parse_query(raw) == tuple(pairs)
    first = first_values(parse_query(raw))
    for name, _ in reversed(pairs):
        if name != "dryRun":
            assert name in first
    for name in {name for name, _ in pairs} - {"dryRun"}:
        assert first[name] == next(value for each, value in pairs if each == name)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/namespaces", ResourcePath("", "v1", "namespaces")),
        ("/api/v1/namespaces/x", ResourcePath("", "v1", "namespaces", "x", "x")),
        ("/api/v1/namespaces/x/status", ResourcePath("", "v1", "namespaces", "x", "x", "status")),
        ("/api/v1/namespaces/x/finalize", ResourcePath("", "v1", "namespaces", "x", "x", "finalize")),
        ("/api/v1/namespaces/x/pods", ResourcePath("", "v1", "pods", "x")),
        ("/api/v1/nodes/n/proxy/a/b", ResourcePath("", "v1", "nodes", "", "n", "proxy", "a/b")),
        ("/api/v1/watch/pods", ResourcePath("", "v1", "pods", watch=True)),
        ("/api/v1/watch/namespaces/x/pods/p", ResourcePath("", "v1", "pods", "x", "p", watch=True)),
        ("/api", OtherPath("/api")),
        ("/api/v1/", OtherPath("/api/v1")),
        ("/apis/apps/v1", OtherPath("/apis/apps/v1")),
        ("/", OtherPath("/")),
        ("//", OtherPath("/")),
    ],
)
def test_special_paths(path, expected):
    assert parse_path(path) == expected


@pytest.mark.parametrize("path", ["/%", "/%2", "/%zz", "/api/v1/%ff"])
def test_broken_escapes_are_bad_targets(path):
    with pytest.raises(BadTarget):
        parse_path(path)


def test_booleans_are_read_as_kubernetes_does():
    assert [is_true(text) for text in (None, "0", "false", "FALSE", "", "1", "True", "no")] == [False] * 4 + [True] * 4


def test_verbs_come_from_method_and_query():
    listed, one = parse_path("/api/v1/namespaces/x/pods"), parse_path("/api/v1/namespaces/x/pods/p")
    assert verb_for("GET", listed, {}) == "list"
    assert verb_for("GET", listed, {"watch": ""}) == "watch"
    assert verb_for("GET", listed, {"watch": "0"}) == "list"
    assert verb_for("GET", one, {"watch": "true"}) == "get"
    assert verb_for("HEAD", one, {}) == "get"
    assert verb_for("DELETE", listed, {}) == "deletecollection"
    assert verb_for("DELETE", one, {}) == "delete"
    assert verb_for("OPTIONS", one, {}) == "options"
    assert verb_for("GET", parse_path("/api/v1/watch/namespaces/x/pods/p"), {}) == "watch"


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/api/v1/pods", 0),
        ("POST", "/api/v1/pods", 405),
        ("DELETE", "/api/v1/pods", 405),
        ("GET", "/api/v1/pods/p", 404),
        ("GET", "/api/v1/namespaces/x/pods/p/log", 0),
        ("GET", "/api/v1/namespaces/x/pods/p/log/x", 404),
        ("PATCH", "/api/v1/namespaces/x/pods/p/log", 405),
        ("POST", "/api/v1/namespaces/x/pods/p", 405),
        ("PUT", "/api/v1/namespaces/x/pods", 405),
        ("POST", "/api/v1/namespaces/x/pods/p/exec", 0),
        ("GET", "/api/v1/namespaces/x/nodes", 404),
        ("GET", "/api/v1/namespaces/x", 0),
        ("DELETE", "/api/v1/namespaces", 405),
        ("PUT", "/api/v1/namespaces/x/finalize", 0),
        ("OPTIONS", "/api/v1/namespaces/x/pods/p", 405),
    ],
)
def test_what_a_resource_does_not_serve(method, path, code):
    found = parse_path(path)
    resource = find_resource(found.group, found.version, found.plural)
    fault = fault_of(found, verb_for(method, found, {}), resource)
    assert fault == (Fault(code) if code else None)


def test_several_dry_runs_are_joined_and_others_kept_apart():
    pairs = parse_query("dryRun=All&dryRun=x&command=a&command=b%20c&bad=%zz&semi;colon=1&plus=a+b")
    assert first_values(pairs) == {"dryRun": "All,x", "command": "a", "plus": "a b"}
    assert all_values(pairs, "command") == ("a", "b c")
