"""What `moorage why --story` asks of the running cluster: the latest decisions of its controllers."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from moorage.cluster.control import Verb
from moorage.reconciler.story import Story, plain

#: Of a long story only the latest decisions are told.
TOLD_MOST = 20


def story_verbs(story: Callable[[], Story | None]) -> dict[str, Verb]:
    """Return the verb that tells what was decided about objects, given as [resource, namespace, name]."""

    async def tell(request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        found = story()
        wanted = {tuple(ref) for ref in request["refs"]}
        entries = [each for each in found.about() if each.ref[:3] in wanted] if found is not None else []
        for entry in entries[-TOLD_MOST:]:
            yield plain(entry)

    return {"story": tell}
