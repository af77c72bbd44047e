"""The official JavaScript client."""

from pathlib import Path

import pytest

from tests.clients.cluster import Cluster
from tests.clients.results import expect_all_passed
from tests.clients.tools import everything, fetched

pytestmark = [pytest.mark.real, pytest.mark.cluster, everything]

PROGRAM = Path(__file__).parent / "programs" / "client_node.js"


def test_the_library_does_what_it_is_used_for(real_cluster: Cluster) -> None:
    # Version 2 needs Node 22.
    directory = fetched("clients-node", "client-node", "@kubernetes/client-node@1")
    modules = {"NODE_PATH": f"{directory}/node_modules", "NODE_NO_WARNINGS": "1"}
    expect_all_passed(real_cluster.run("node", str(PROGRAM), environment=modules))
