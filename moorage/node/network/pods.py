"""Which pod has which address: 10.124.<node>.0/24, one gateway, 253 pods. Pure: who keeps the answer is the sandbox.

Nodes beyond the 255th go on at 10.125.0.0/24, and so up to 10.255.255.0/24; services (10.96.0.0/16) lie below.
"""

from moorage.node.runtimes.runtime import RuntimeFailure

#: The first and last host number a pod may get; .1 is the node itself, .255 is left alone.
FIRST, LAST = 2, 254
#: How many nodes have a network of their own.
NODES_MAX = 132 * 256 - 1


def _prefix_for(node_index: int) -> str:
    if not 1 <= node_index <= NODES_MAX:
        raise ValueError(f"node index {node_index} is not in 1-{NODES_MAX}")
    return f"10.{124 + node_index // 256}.{node_index % 256}."


def pod_network_for(node_index: int) -> str:
    """Return the node's pod network in CIDR form. node_index: 1-NODES_MAX."""
    return f"{_prefix_for(node_index)}0/24"


def node_address_for(node_index: int) -> str:
    """Return the node's own address, its InternalIP, in the network between native nodes."""
    _prefix_for(node_index)
    return f"172.30.{node_index // 256}.{node_index % 256}"


def gateway_for(node_index: int) -> str:
    """Return the address by which pods reach their node."""
    return f"{_prefix_for(node_index)}1"


class PodAddresses:
    """Gives out the addresses of one node, each next one first, so that a freed address rests as long as possible."""

    def __init__(self, node_index: int) -> None:
        self._prefix = _prefix_for(node_index)
        self._by_uid: dict[str, int] = {}
        self._next = FIRST

    def take(self, uid: str) -> str:
        """Return the pod's address, the same each time. Raises RuntimeFailure when all are taken."""
        if uid not in self._by_uid:
            taken = set(self._by_uid.values())
            span = LAST - FIRST + 1
            order = (FIRST + (self._next - FIRST + step) % span for step in range(span))
            number = next((one for one in order if one not in taken), None)
            if number is None:
                raise RuntimeFailure("FailedCreatePodSandBox", f"no free address left in {self._prefix}0/24")
            self._hold(uid, number)
        return f"{self._prefix}{self._by_uid[uid]}"

    def adopt(self, uid: str, address: str) -> None:
        """Remember an address that a pod has already. One of another network, or none, is left alone."""
        number = address.removeprefix(self._prefix)
        if number != address and number.isdigit() and FIRST <= int(number) <= LAST:
            self._hold(uid, int(number))

    def _hold(self, uid: str, number: int) -> None:
        self._by_uid[uid] = number
        self._next = number + 1 if number < LAST else FIRST

    def release(self, uid: str) -> None:
        """Free the pod's address; one that has none is fine."""
        self._by_uid.pop(uid, None)
