"""What nodes tell about the machine that they are on, read once at the start."""

import os
import platform
import shutil
from pathlib import Path

from moorage import KUBERNETES_VERSION
from moorage.node.network.pods import node_address_for, pod_network_for
from moorage.node.node_status import Machine


def machine_for(name: str, index: int, runtime: str, directory: Path) -> Machine:
    """Return the facts of a node on this machine; all nodes of a cluster share it. index: tells their networks apart."""
    return Machine(
        hostname=name,
        ip=node_address_for(index),
        cpus=os.cpu_count() or 1,
        memory=_memory_bytes(),
        disk=shutil.disk_usage(directory).total,
        architecture={"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
        kernel=platform.release(),
        os_image=_os_image(),
        machine_id=_text("/etc/machine-id"),
        boot_id=_text("/proc/sys/kernel/random/boot_id"),
        runtime=runtime,
        version=KUBERNETES_VERSION,
        pod_network=pod_network_for(index),
    )


def simulated_machine(name: str, index: int) -> Machine:
    """Return the facts of a node that only pretends: large enough to take any test."""
    return Machine(
        hostname=name,
        ip=node_address_for(index),
        cpus=32,
        memory=256 << 30,
        disk=1 << 40,
        architecture="amd64",
        kernel="simulated",
        os_image="simulated",
        machine_id=name,
        boot_id=name,
        runtime="simulated://1",
        version=KUBERNETES_VERSION,
        is_simulated=True,
        pod_network=pod_network_for(index),
    )


def _memory_bytes() -> int:
    for line in _text("/proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _os_image() -> str:
    for line in _text("/etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return platform.system()


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
