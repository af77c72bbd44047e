"""What the server did, counted: in the text format that Prometheus reads, under upstream's names.

Source: apiserver/pkg/endpoints/metrics (v1.37).
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

#: Upper bounds of the histogram of durations, in seconds.
BUCKETS: Final = (0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0)

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Served(NamedTuple):
    """What kind of request it was; `resource` is "" for a page."""

    verb: str
    group: str
    version: str
    resource: str
    subresource: str
    code: int


class Metrics:
    """Counters of requests. `more` are called for further text when the metrics are read."""

    def __init__(self) -> None:
        self._counts: dict[Served, int] = {}
        self._times: dict[tuple[str, str], list[float]] = {}
        self.more: list[Callable[[], str]] = []
        #: How many open-ended requests there are; set by the server.
        self.long_running: Callable[[], int] = int

    def served(self, what: Served, seconds: float) -> None:
        """Count a request. Only the first answer of an open-ended one counts towards durations."""
        self._counts[what] = self._counts.get(what, 0) + 1
        key = (what.verb, what.resource)
        times = self._times.get(key)
        if times is None:
            times = self._times[key] = [0.0] * (len(BUCKETS) + 2)
        times[-2] += seconds
        times[-1] += 1
        for index, bound in enumerate(BUCKETS):
            if seconds <= bound:
                times[index] += 1
                break

    def text(self) -> bytes:
        """Return everything in Prometheus' format."""
        parts = [*self._lines(), *(more().rstrip("\n") for more in self.more)]
        return ("\n".join(part for part in parts if part) + "\n").encode()

    def _lines(self) -> Iterator[str]:
        yield "# HELP apiserver_request_total Requests by verb, resource and HTTP status."
        yield "# TYPE apiserver_request_total counter"
        for what, count in self._counts.items():
            labels = ",".join(f'{name}="{value}"' for name, value in what._asdict().items())
            yield f"apiserver_request_total{{{labels}}} {count}"
        name = "apiserver_request_duration_seconds"
        yield f"# HELP {name} Seconds until the answer, by verb and resource."
        yield f"# TYPE {name} histogram"
        for (verb, resource), times in self._times.items():
            labels = f'verb="{verb}",resource="{resource}"'
            total = 0.0
            for bound, some in zip(BUCKETS, times, strict=False):
                total += some
                yield f'{name}_bucket{{{labels},le="{bound:g}"}} {total:.0f}'
            yield f'{name}_bucket{{{labels},le="+Inf"}} {times[-1]:.0f}'
            yield f"{name}_sum{{{labels}}} {times[-2]:.6f}"
            yield f"{name}_count{{{labels}}} {times[-1]:.0f}"
        yield "# HELP apiserver_longrunning_requests Watches, followed logs and upgraded connections that are open."
        yield "# TYPE apiserver_longrunning_requests gauge"
        yield f"apiserver_longrunning_requests {self.long_running()}"
