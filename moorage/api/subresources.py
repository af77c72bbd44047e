"""What a POST to a subresource does, where it is not creating an object.

Each is a small function of (tools, request, body); Api finds it by resource and subresource. Reviews and tokens are
added when a cluster is put together (moorage.api.reviews).
"""

from collections.abc import Awaitable, Callable, Mapping

from moorage.api.answers import Answer
from moorage.api.binding import bind
from moorage.api.eviction import evict
from moorage.api.pipeline import Tools
from moorage.api.request import Draft, Request

Creation = Callable[[Tools, Request, Draft], Awaitable[Answer]]

#: (resource id, subresource) -> what a POST does.
CREATIONS: Mapping[tuple[str, str], Creation] = {
    ("pods", "binding"): bind,
    ("pods", "eviction"): evict,
    ("bindings", ""): bind,
}
