"""Links in what a proxied server answers, rewritten so that they lead through the proxy again. Pure.

Source: apimachinery/pkg/util/proxy/transport.go (v1.37).
"""

import html
import posixpath
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit, urlunsplit

_URL_ATTRIBUTES: Final = {
    "a": ("href",), "applet": ("codebase",), "area": ("href",), "audio": ("src",), "base": ("href",),
    "blockquote": ("cite",), "body": ("background",), "button": ("formaction",), "command": ("icon",), "del": ("cite",),
    "embed": ("src",), "form": ("action",), "frame": ("longdesc", "src"), "head": ("profile",), "html": ("manifest",),
    "iframe": ("longdesc", "src"), "img": ("longdesc", "src", "usemap"), "input": ("src", "usemap", "formaction"),
    "ins": ("cite",), "link": ("href",), "object": ("classid", "codebase", "data", "usemap"), "q": ("cite",),
    "script": ("src",), "source": ("src",), "video": ("poster", "src"),
}  # fmt: skip

_TAG: Final = re.compile(r"<([a-zA-Z][a-zA-Z0-9]*)(\s(?:[^<>\"']|\"[^\"]*\"|'[^']*')*)>")
_ATTRIBUTE: Final = re.compile(r"(\s)([a-zA-Z-]+)(\s*=\s*)(\"[^\"]*\"|'[^']*'|[^\s\"'>]+)")


def joined_path(prefix: str, path: str) -> str:
    """Return a path below a prefix, without empty or dotted steps; a slash at the end stays."""
    whole = posixpath.normpath(f"/{prefix}/{path}".replace("//", "/")).replace("//", "/")
    return f"{whole}/" if path.endswith("/") and not whole.endswith("/") else whole


def rewritten_url(text: str, prefix: str, backend_host: str, asked_host: str) -> str:
    """Return a URL as it leads through the proxy at `prefix`; those of other hosts and relative ones stay."""
    try:
        url = urlsplit(text)
    except ValueError:
        return text
    if (url.netloc and url.netloc not in (backend_host, asked_host)) or not url.path.startswith("/"):
        return text
    if url.netloc != asked_host:
        url = url._replace(scheme="", netloc="")
    if url.path.startswith(prefix):
        return urlunsplit(url)
    return urlunsplit(url._replace(path=joined_path(prefix, url.path)))


def rewritten_html(text: str, rewrite: Callable[[str], str]) -> str:
    """Return a page whose links went through `rewrite`; everything else stays as it is."""

    def tag(match: re.Match[str]) -> str:
        names = _URL_ATTRIBUTES.get(match[1].lower())
        if names is None:
            return match[0]

        def attribute(found: re.Match[str]) -> str:
            if found[2].lower() not in names:
                return found[0]
            value = found[4][1:-1] if found[4][0] in "\"'" else found[4]
            return f'{found[1]}{found[2]}{found[3]}"{html.escape(rewrite(html.unescape(value)))}"'

        return f"<{match[1]}{_ATTRIBUTE.sub(attribute, match[2])}>"

    return _TAG.sub(tag, text)
