"""client-go and controller-runtime, in the program below go/."""

import pytest

from tests.clients.cluster import Cluster
from tests.clients.results import expect_all_passed
from tests.clients.tools import everything, fetched

pytestmark = [pytest.mark.real, pytest.mark.cluster, everything]


def test_go_programs_do_what_they_do_elsewhere(real_cluster: Cluster) -> None:
    expect_all_passed(real_cluster.run(fetched("clients-go")))
