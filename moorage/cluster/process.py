"""One cluster as a process: lock, log, signals, event loop, and clear words when it cannot start."""

import asyncio
import contextlib
import gc
import logging
import signal
import sys
from collections.abc import Callable
from typing import Any

from moorage.cluster.config import ClusterConfig
from moorage.cluster.instance import AlreadyRunning, hold

log = logging.getLogger(__name__)

#: Says how far the start has come: {"step": text}, {"ready": True}, {"failed": text, "hint": text}.
Report = Callable[[dict[str, Any]], None]

#: Collect garbage seldom: the heap is mostly caches that live long (design: never thousands of decoded objects).
GC_THRESHOLDS = (20_000, 20, 50)


class StartFailed(Exception):
    """The cluster cannot start. The message says what and where; `hint` what to do next."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def run(config: ClusterConfig, report: Report) -> int:
    """Run the cluster until SIGTERM or SIGINT; returns the exit code."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname).1s %(name)s %(message)s", force=True
    )
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        with hold(config.directory):
            return _loop(_serve(config, report))
    except AlreadyRunning as error:
        report({"failed": f"{error}.", "hint": "See it with: moorage status"})
    except StartFailed as error:
        log.error("start_failed error=%s", error)  # noqa: TRY400 the message says all
        report({"failed": str(error), "hint": error.hint})
    except Exception as error:
        log.exception("start_failed")
        report({"failed": f"unexpected: {type(error).__name__}: {error}", "hint": f"What it said: {config.log}"})
    return 1


def _loop(main: Any) -> int:
    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    with contextlib.suppress(ImportError):
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        code: int = runner.run(main)
        return code


async def _serve(config: ClusterConfig, report: Report) -> int:
    from moorage.cluster.cluster import Cluster

    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    cluster = Cluster(config)
    try:
        await cluster.start(lambda text: report({"step": text}))
        log.info("cluster_ready name=%s", config.name)
        report({"ready": True})
        gc.collect()
        gc.freeze()
        gc.enable()
        await ended.wait()
        log.info("stopping")
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            await cluster.close()
    return 0
