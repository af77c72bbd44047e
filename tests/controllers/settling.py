"""Runs rules over a World until nothing changes any more, in an order that a test may choose."""

from collections.abc import Callable, Sequence

from moorage.controllers.rule import Controller
from moorage.objects.metadata import Ref
from tests.controllers.world import World


def settle(world: World, controllers: Sequence[Controller], check: Callable[[], None] = lambda: None) -> int:
    """Run every controller over every object of its kind until all rest; returns the number of changes."""
    start = world.revision
    for _ in range(100):
        before = world.revision
        for controller in controllers:
            for obj in list(world.list(controller.kind)):
                metadata = obj["metadata"]
                world.run(controller, Ref(controller.kind, metadata.get("namespace", ""), metadata["name"]))
                check()
        if world.revision == before:
            return before - start
    raise AssertionError("the rules do not come to rest")
