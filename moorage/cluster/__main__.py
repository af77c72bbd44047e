"""The cluster's own process: `python -m moorage.cluster DIRECTORY REPORT_FD`, started by `moorage up`."""

import gc

gc.disable()  # until the cluster is ready: what is imported stays, and looking through it costs a tenth of a second

import os  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import orjson  # noqa: E402

from moorage.cluster.config import ClusterConfig, saved_config  # noqa: E402
from moorage.cluster.process import run  # noqa: E402


def main() -> int:
    """Run the cluster of a directory; reports go to the descriptor, one JSON object a line."""
    directory, descriptor = Path(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(descriptor, False)  # noqa: FBT003
    saved = saved_config(directory)

    def report(facts: dict[str, Any]) -> None:
        try:
            os.write(descriptor, orjson.dumps(facts) + b"\n")
        except BrokenPipeError:
            return  # whoever started us has gone; the cluster goes on

    return run(ClusterConfig(directory=directory, **saved), report)


if __name__ == "__main__":
    sys.exit(main())
