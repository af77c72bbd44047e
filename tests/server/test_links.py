"""Links of proxied pages lead through the proxy again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.server.links import joined_path, rewritten_html, rewritten_url

PREFIX = "/api/v1/namespaces/ns/pods/p/proxy"


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("/a/b", f"{PREFIX}/a/b"),
        ("/a/", f"{PREFIX}/a/"),
        ("/a?x=1#y", f"{PREFIX}/a?x=1#y"),
        ("a/b", "a/b"),
        ("http://10.1.1.1:80/a", f"{PREFIX}/a"),
        ("https://elsewhere.example.com/a", "https://elsewhere.example.com/a"),
        ("http://asked:6443/a", f"http://asked:6443{PREFIX}/a"),
        (f"{PREFIX}/a", f"{PREFIX}/a"),
    ],
)
def test_urls_of_the_backend_go_through_the_proxy(url: str, wanted: str) -> None:
    assert rewritten_url(url, PREFIX, "10.1.1.1:80", "asked:6443") == wanted


def test_only_attributes_that_are_links_change() -> None:
    page = '<a class="/x" href="/y?a=1&amp;b=2">/z</a><img src=\'/i.png\'><p title="/t">'
    assert rewritten_html(page, lambda url: f"!{url}") == (
        '<a class="/x" href="!/y?a=1&amp;b=2">/z</a><img src="!/i.png"><p title="/t">'
    )


@given(st.text())
def test_any_text_is_a_page(text: str) -> None:
    assert rewritten_html(text, lambda url: url).count("\n") == text.count("\n")


@given(st.text(alphabet="ab./", max_size=12))
def test_a_path_never_leaves_its_prefix_upwards(path: str) -> None:
    assert joined_path("", path).startswith("/")
