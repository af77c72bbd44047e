"""The list of all controllers. Built on first use: a process that runs none imports none of them."""

from functools import cache

from moorage.controllers.rule import Controller


@cache
def controllers() -> tuple[Controller, ...]:
    """Return every controller, in the order in which they are started."""
    from moorage.controllers import deployment, replicaset, statefulset

    return (
        statefulset.CONTROLLER,
        replicaset.CONTROLLER,
        replicaset.REPLICATION,
        deployment.CONTROLLER,
    )
