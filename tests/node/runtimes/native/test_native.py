"""The native runtime with real processes: the contract, and what only real containers can show.

As root it runs with everything; `test_as_any_user` runs this file again as a user without any privilege.
"""

import asyncio
import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from moorage.aio.clock import SystemClock
from moorage.aio.tasks import Tasks
from moorage.node.images.store import ImageStore
from moorage.node.network.dns import DnsServer
from moorage.node.network.endpoints import fronts_for
from moorage.node.network.names import Zone
from moorage.node.network.services import ServiceProxy
from moorage.node.runtimes.native.host import NativeHost
from moorage.node.runtimes.native.identity import living_pid
from moorage.node.runtimes.native.native import NativeRuntime
from moorage.node.runtimes.native.sweep import sweep
from moorage.node.runtimes.runtime import ContainerConfig, Mount, RuntimeFailure
from tests.contracts.runtime import DEADLINE_SECONDS, RuntimeContract, ended, sandbox, started, state_of, until

pytestmark = pytest.mark.real

IS_ROOT = os.geteuid() == 0
SCRIPTS = {
    "runs": "trap 'exit 0' TERM; echo settled; while :; do sleep 60 & wait $!; done",
    "stubborn": "trap '' TERM; echo settled; while :; do sleep 60; done",
    "exits-7": "exit 7",
}
COMMANDS = {
    "unexecutable": ["no-such-command"],
    "serves": ["/usr/bin/python3", "-S", "-E", "-m", "http.server", "8080"],
}


class NativeWorld:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.images = ImageStore(directory / "images")
        self.host = NativeHost(directory / "run")
        self.runtime = self._agent()

    def _agent(self) -> NativeRuntime:
        return NativeRuntime(self.host, self.images, "node-1", 1, SystemClock())

    def container(self, what: str, **changes: object) -> ContainerConfig:
        command = COMMANDS.get(what) or ["/bin/sh", "-c", SCRIPTS.get(what, what)]
        config = ContainerConfig("main", 0, "moorage.local/host", command=command)
        return replace(config, **changes)  # type: ignore[arg-type]

    async def settle(self, uid: str, container: str) -> None:
        async def is_settled() -> bool:
            return "settled" in self.log(uid)

        await until(is_settled)

    async def restart(self) -> None:
        await self.runtime.close()
        await self.host.close()
        self.host = NativeHost(self.directory / "run")
        self.runtime = self._agent()
        await self.runtime.start()

    def log(self, uid: str = "uid-a", attempt: int = 0) -> str:
        path = self.directory / "logs" / uid / "main" / f"{attempt}.log"
        lines = path.read_text().splitlines() if path.exists() else []
        return "".join(line.split(" ", 3)[3] + "\n" for line in lines)

    async def output(self, script: str, uid: str = "uid-a", **changes: object) -> str:
        container = await started(self, script, uid, **changes)
        await ended(self, container, uid)
        return self.log(uid)

    async def run_beside(self, container: str, script: str, *, tty: bool = False) -> tuple[int, str]:
        command = ["/bin/sh", "-c", script]
        process = await self.runtime.exec("uid-a", container, command, tty=tty, stdin=False)
        output = await asyncio.to_thread(read_all, process.stdout)
        async with asyncio.timeout(DEADLINE_SECONDS):
            code = await process.wait()
        for descriptor in {process.stdin, process.stdout, process.stderr} - {-1}:
            os.close(descriptor)
        return code, output


def read_all(descriptor: int) -> str:
    data = b""
    with contextlib.suppress(OSError):  # a terminal ends with EIO
        while piece := os.read(descriptor, 65536):
            data += piece
    return data.decode()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[NativeWorld]:
    world = NativeWorld(tmp_path)
    try:
        await world.runtime.start()
    except RuntimeFailure as failure:
        if failure.reason == "NamespacesUnavailable":
            pytest.skip(str(failure))
        raise
    try:
        yield world
    finally:
        await world.runtime.close()
        await world.host.destroy()
        assert not sweep(tmp_path / "run"), "destroy left something running"
        assert str(tmp_path) not in Path("/proc/mounts").read_text()


class TestNative(RuntimeContract):
    @pytest.fixture
    async def world(self, world: NativeWorld) -> NativeWorld:  # type: ignore[override]
        return world


async def test_a_log_has_both_streams_in_cri_form(world: NativeWorld) -> None:
    await world.output("echo one; echo two >&2; printf three")
    lines = (world.directory / "logs/uid-a/main/0.log").read_text().splitlines()
    assert sorted(line.split(" ", 1)[1] for line in lines) == ["stderr F two", "stdout F one", "stdout F three"]


async def test_a_container_sees_its_own_name_hosts_resolver_and_processes(world: NativeWorld) -> None:
    await world.runtime.run_sandbox(
        sandbox(world, dns_servers=["10.96.0.10"], dns_searches=["a.b"], dns_options=["ndots:5"])
    )
    output = await world.output(
        "hostname; cat /etc/hostname /etc/resolv.conf; echo $$; ls /proc | grep -c '^[0-9]'; echo $HOME"
    )
    name, file, search, server, options, pid, count, home = output.splitlines()
    assert (name, file, pid, home) == ("web-0", "web-0", "1", "/root")
    assert (search, server, options) == ("search a.b", "nameserver 10.96.0.10", "options ndots:5")
    assert int(count) <= 4


async def test_environment_and_working_directory_arrive(world: NativeWorld) -> None:
    output = await world.output("echo $GREETING; pwd", env={"GREETING": "hello"}, working_dir="/somewhere/new")
    assert output == "hello\n/somewhere/new\n"


async def test_a_mount_is_shared_with_the_host_and_read_only_ones_refuse(world: NativeWorld) -> None:
    (world.directory / "data").mkdir()
    (world.directory / "file").write_text("content")
    mounts = [
        Mount(str(world.directory / "data"), "/data"),
        Mount(str(world.directory / "file"), "/etc/one/file", read_only=True),
    ]
    output = await world.output(
        "echo kept > /data/kept; cat /etc/one/file; echo x 2>/dev/null > /etc/one/file || echo refused", mounts=mounts
    )
    assert (world.directory / "data/kept").read_text() == "kept\n"
    assert output.split() == ["contentrefused"]
    assert (world.directory / "file").read_text() == "content"


async def test_a_link_in_an_image_cannot_lead_a_mount_out_of_it(world: NativeWorld, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "data").mkdir()
    image = await load_busybox(world, tmp_path, links={"escape": str(outside)})
    mounts = [Mount(str(tmp_path / "data"), "/escape/inner")]
    output = await world.output("ls -d /escape/inner; echo x > /escape/inner/written", image=image, mounts=mounts)
    assert output == "/escape/inner\n"
    assert (tmp_path / "data/written").exists()
    assert not list(outside.iterdir())


async def test_what_a_container_writes_is_gone_in_the_next_attempt(world: NativeWorld) -> None:
    await world.output("echo mine > /written; cat /written")
    second = await world.runtime.create_container(
        "uid-a", world.container("test -e /written && exit 1; exit 5", attempt=1)
    )
    await world.runtime.start_container("uid-a", second)
    assert (await ended(world, second)).exit_code == 5


async def test_a_read_only_root_refuses_writes(world: NativeWorld) -> None:
    assert await world.output("echo x 2>/dev/null > /x || echo refused", read_only_root=True) == "refused\n"


async def test_it_runs_as_the_user_it_should(world: NativeWorld) -> None:
    assert await world.output("id -u; id -g", user=101, group=102) == "101\n102\n"


async def test_supplemental_groups_are_held(world: NativeWorld) -> None:
    if world.host.mode == "single":
        pytest.skip("one user id: there are no other groups")
    assert "2000" in await world.output("id -G", user=101, group=102, supplemental_groups=[2000])


async def test_only_the_default_capabilities_are_held(world: NativeWorld) -> None:
    output = await world.output("grep CapEff /proc/self/status; mount -t tmpfs x /mnt 2>/dev/null || echo refused")
    effective = int(output.split()[1], 16)
    assert effective & (1 << 21) == 0, "CAP_SYS_ADMIN"
    assert "refused" in output


async def test_capabilities_are_added_and_dropped(world: NativeWorld) -> None:
    output = await world.output(
        "grep CapBnd /proc/self/status", capabilities_drop=["ALL"], capabilities_add=["NET_ADMIN"]
    )
    assert int(output.split()[1], 16) == 1 << 12


async def test_an_unknown_capability_is_refused_at_creation(world: NativeWorld) -> None:
    await world.runtime.run_sandbox(sandbox(world))
    with pytest.raises(RuntimeFailure, match="unknown capability"):
        await world.runtime.create_container("uid-a", world.container("runs", capabilities_add=["FLY"]))


async def test_a_privileged_container_has_everything(world: NativeWorld) -> None:
    output = await world.output("mount -t tmpfs x /mnt && echo mounted; ls /dev/ | wc -l", privileged=True)
    mounted, devices = output.split()
    assert mounted == "mounted"
    assert int(devices) > 10


async def test_sysctls_of_the_pod_are_set_and_those_of_the_machine_refused(world: NativeWorld) -> None:
    await world.runtime.run_sandbox(sandbox(world, sysctls={"net.ipv4.ip_local_port_range": "5000 6000"}))
    assert (await world.output("cat /proc/sys/net/ipv4/ip_local_port_range")).split() == ["5000", "6000"]
    for name in ("vm.swappiness", "kernel.panic", "net/../vm.x", "net...vm.swappiness"):
        with pytest.raises(RuntimeFailure, match="forbidden sysctl"):
            await world.runtime.run_sandbox(sandbox(world, "uid-b", sysctls={name: "1"}))
    with pytest.raises(RuntimeFailure, match="cannot name a file"):
        await world.runtime.run_sandbox(sandbox(world, "../uid"))


async def test_no_new_privileges_is_set(world: NativeWorld) -> None:
    assert await world.output("grep NoNewPrivs /proc/self/status", no_new_privileges=True) == "NoNewPrivs:\t1\n"


async def test_a_signal_shows_in_the_exit_code(world: NativeWorld) -> None:
    container = await started(world, "sh -c 'kill -SEGV $$'; exit $?")
    assert (await ended(world, container)).exit_code == 139


async def test_too_much_memory_ends_as_out_of_memory(world: NativeWorld) -> None:
    if not world.runtime.has_limits:
        pytest.skip("control groups cannot be written here")
    container = await started(world, "exec tail /dev/zero", memory_bytes=16 << 20)
    state = await ended(world, container)
    assert (state.exit_code, state.oom_killed) == (137, True)


async def test_a_terminal_has_a_size_and_is_one(world: NativeWorld) -> None:
    container = await started(world)
    command = ["/bin/sh", "-c", "tty; read go; stty size; exit 4"]
    process = await world.runtime.exec("uid-a", container, command, tty=True, stdin=True)
    process.resize(132, 43)
    os.write(process.stdin, b"go\n")
    output = await asyncio.to_thread(read_all, process.stdout)
    assert await process.wait() == 4
    assert set(output.split()) == {"/dev/pts/0", "go", "43", "132"}
    os.close(process.stdin)
    os.close(process.stdout)
    assert process.stderr == -1


async def test_standard_input_of_a_command_ends(world: NativeWorld) -> None:
    container = await started(world)
    process = await world.runtime.exec("uid-a", container, ["cat"], tty=False, stdin=True)
    os.write(process.stdin, b"through")
    os.close(process.stdin)
    assert await asyncio.to_thread(read_all, process.stdout) == "through"
    assert await process.wait() == 0
    os.close(process.stdout)
    os.close(process.stderr)


async def test_a_command_can_be_killed(world: NativeWorld) -> None:
    container = await started(world)
    process = await world.runtime.exec("uid-a", container, ["sleep", "60"], tty=False, stdin=False)
    process.kill()
    async with asyncio.timeout(DEADLINE_SECONDS):
        assert await process.wait() == 137
    os.close(process.stdout)
    os.close(process.stderr)


async def test_a_command_that_is_not_there_is_refused(world: NativeWorld) -> None:
    container = await started(world)
    with pytest.raises(RuntimeFailure, match='exec: "nope": executable file not found in \\$PATH'):
        await world.runtime.exec("uid-a", container, ["nope"], tty=False, stdin=False)
    with pytest.raises(RuntimeFailure, match="no such file or directory"):
        await world.runtime.exec("uid-a", container, ["/nope"], tty=False, stdin=False)


async def test_attaching_reads_output_and_gives_input(world: NativeWorld) -> None:
    script = "while read line; do echo got $line; done; exit 3"
    container = await started(world, script, stdin=True, stdin_once=True)
    process = await world.runtime.attach("uid-a", container)
    os.write(process.stdin, b"this\n")
    assert os.read(process.stdout, 100) == b"got this\n"
    os.close(process.stdin)
    async with asyncio.timeout(DEADLINE_SECONDS):
        assert await process.wait() == 3
    os.close(process.stdout)
    os.close(process.stderr)


async def test_attaching_to_a_terminal(world: NativeWorld) -> None:
    container = await started(world, "stty -echo; read line; stty size; echo got $line", tty=True, stdin=True)
    process = await world.runtime.attach("uid-a", container)
    process.resize(100, 50)
    os.write(process.stdin, b"this\n")
    output = await asyncio.to_thread(read_all, process.stdout)
    assert "50 100" in output
    assert "got this" in output
    assert await process.wait() == 0
    os.close(process.stdin)
    os.close(process.stdout)


async def test_a_shared_process_namespace_shows_the_other_containers(world: NativeWorld) -> None:
    await world.runtime.run_sandbox(sandbox(world, share_process_namespace=True))
    await started(world)
    other = await world.runtime.create_container(
        "uid-a", replace(world.container("cat /proc/[0-9]*/cmdline | tr '\\0' ' '"), name="other")
    )
    await world.runtime.start_container("uid-a", other)
    await ended(world, other)
    assert "trap" in (world.directory / "logs/uid-a/other/0.log").read_text()


async def test_pods_of_two_nodes_reach_each_other(world: NativeWorld) -> None:
    second = NativeRuntime(world.host, world.images, "node-2", 2, SystemClock())
    await second.start()
    served = await second.run_sandbox(sandbox(world, "uid-b"))
    container = await second.create_container("uid-b", world.container("serves"))
    await second.start_container("uid-b", container)
    fetch = f"import urllib.request as r; print(r.urlopen('http://{served.ip}:8080/', timeout=2).status)"
    output = await world.output(
        f'for i in 1 2 3 4 5 6 7 8 9; do python3 -S -E -c "{fetch}" 2>/dev/null && break; sleep 0.1; done'
    )
    assert output == "200\n"
    await second.close()


async def test_a_pod_reaches_a_service_on_another_node_by_its_name(world: NativeWorld) -> None:
    second = NativeRuntime(world.host, world.images, "node-2", 2, SystemClock())
    await second.start()
    served = await second.run_sandbox(sandbox(world, "uid-b"))
    container = await second.create_container("uid-b", world.container("serves"))
    await second.start_container("uid-b", container)
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    service = {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"clusterIP": "10.96.0.77", "ports": ports}}
    labels = {"kubernetes.io/service-name": "web"}
    behind = {
        "metadata": {"name": "web-1", "namespace": "shop", "labels": labels},
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": [{"addresses": [served.ip], "conditions": {"ready": True}}],
    }
    async with Tasks("node-1") as tasks:
        await DnsServer(world.runtime, tasks, Zone([service], [behind])).start()
        await ServiceProxy(world.runtime, tasks).update(fronts_for([service], [behind]))
        await world.runtime.run_sandbox(
            sandbox(world, dns_servers=["10.96.0.10"], dns_searches=["shop.svc.cluster.local"], dns_options=["ndots:5"])
        )
        fetch = "import urllib.request as r; print(r.urlopen('http://web/', timeout=3).status)"
        script = f'for i in 1 2 3 4 5 6 7 8 9; do python3 -S -E -c "{fetch}" 2>/dev/null && break; sleep 0.1; done'
        assert await world.output(script) == "200\n"
    await second.close()


async def test_container_ends_while_no_agent_looks(world: NativeWorld) -> None:
    pipe = world.directory / "go"
    os.mkfifo(pipe)
    container = await started(world, "read go < /go; exit 9", mounts=[Mount(str(pipe), "/go")])
    await world.runtime.close()
    await asyncio.to_thread(pipe.write_text, "go\n")
    state = world.directory / "run/nodes/node-1/sandboxes/uid-a/containers/main_0/state.json"

    async def is_written() -> bool:
        return json.loads(state.read_text())["state"] == "exited"

    await until(is_written)
    await world.restart()
    assert (await state_of(world, container)).exit_code == 9


async def test_a_killed_shim_takes_its_containers_along(world: NativeWorld) -> None:
    container = await started(world, "stubborn")
    events = world.runtime.events()
    (pid,) = child_pids(living_pid(str(world.directory / "run/nodes/node-1/sandboxes/uid-a/shim.pid")))
    os.kill(living_pid(str(world.directory / "run/nodes/node-1/sandboxes/uid-a/shim.pid")), signal.SIGKILL)
    async with asyncio.timeout(DEADLINE_SECONDS):
        await anext(events)
    state = await state_of(world, container)
    assert (state.state, state.exit_code) == ("exited", 137)
    assert not (await world.runtime.list_sandboxes())[0].ready

    async def is_gone() -> bool:
        return not is_alive(pid)

    await until(is_gone)
    await world.restart()
    assert (await state_of(world, container)).exit_code == 137
    await world.runtime.run_sandbox(sandbox(world))
    again = await world.runtime.create_container("uid-a", world.container("runs", attempt=1))
    await world.runtime.start_container("uid-a", again)
    assert (await state_of(world, again)).state == "running"


def child_pids(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


async def test_a_node_that_lost_power_comes_back_with_its_pods_ended(world: NativeWorld) -> None:
    container = await started(world, "stubborn")
    await world.runtime.close()
    await world.host.end_node("node-1")
    await world.restart()
    (listed,) = await world.runtime.list_sandboxes()
    assert not listed.ready
    assert (await state_of(world, container)).exit_code == 137
    await world.runtime.remove_sandbox("uid-a")
    assert await started(world) == container


async def test_killed_zygotes_leave_pods_running_and_are_replaced(world: NativeWorld) -> None:
    served = await started(world, "serves")
    for name in ("nodes/node-1/zygote.pid", "host.pid"):
        os.kill(living_pid(str(world.directory / "run" / name)), signal.SIGKILL)

    async def is_gone() -> bool:
        return not living_pid(str(world.directory / "run/host.pid"))

    await until(is_gone)
    await world.restart()
    assert (await state_of(world, served)).state == "running"
    address = (await world.runtime.list_sandboxes())[0].ip
    fetch = f"import urllib.request as r; print(r.urlopen('http://{address}:8080/', timeout=2).status)"
    assert await world.output(f'python3 -S -E -c "{fetch}"', uid="uid-b") == "200\n"


async def test_sweeping_ends_what_an_agent_left(world: NativeWorld) -> None:
    await started(world, "stubborn")
    (pid,) = child_pids(living_pid(str(world.directory / "run/nodes/node-1/sandboxes/uid-a/shim.pid")))
    assert len(await asyncio.to_thread(sweep, world.directory / "run")) == 3

    async def is_gone() -> bool:
        return not is_alive(pid)

    await until(is_gone)
    assert await asyncio.to_thread(sweep, world.directory / "run") == []


async def test_a_pid_that_someone_else_has_got_is_left_alone(tmp_path: Path) -> None:
    sandboxes = tmp_path / "run/nodes/n/sandboxes/u"
    sandboxes.mkdir(parents=True)
    with subprocess.Popen(["sleep", "60"]) as other:
        (sandboxes / "shim.pid").write_text(json.dumps({"pid": other.pid, "started": 1, "boot": "x"}))
        assert sweep(tmp_path / "run") == []
        assert other.poll() is None
        other.kill()


async def load_busybox(
    world: NativeWorld, directory: Path, links: dict[str, str] | None = None, **config: object
) -> str:
    """Load an image that holds nothing but busybox."""
    binary = shutil.which("busybox")
    if binary is None:
        pytest.skip("busybox is not installed: apt-get install busybox-static")
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        archive.add(binary, "bin/busybox")
        for name, target in {"bin/sh": "busybox", "bin/ls": "busybox", **(links or {})}.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    path = directory / "busybox.tar"
    path.write_bytes(docker_archive(layer.getvalue(), ["busybox:test"], config))
    (image,) = await world.images.load(path)
    return image.id


def docker_archive(layer: bytes, names: list[str], config: dict[str, object]) -> bytes:
    import hashlib

    digest = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    configuration = json.dumps({"config": config, "rootfs": {"type": "layers", "diff_ids": [digest]}}).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": names, "Layers": ["layer.tar"]}]).encode()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in {"config.json": configuration, "layer.tar": layer, "manifest.json": manifest}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


async def test_a_loaded_image_runs_with_its_own_command_user_and_environment(
    world: NativeWorld, tmp_path: Path
) -> None:
    own = {
        "Entrypoint": ["/bin/sh", "-c"],
        "Cmd": ["echo $FROM; exit 3"],
        "Env": ["FROM=image", "PATH=/bin"],
        "User": "7:8",
    }
    image = await load_busybox(world, tmp_path, **own)
    assert (await world.runtime.image_status("busybox:test")).id == image  # type: ignore[union-attr]
    assert (await world.runtime.image_status("docker.io/library/busybox:test")).user == "7:8"  # type: ignore[union-attr]
    container = await started(world, "its own", image=image, command=())
    assert (await ended(world, container)).exit_code == 3
    assert world.log() == "image\n"
    with pytest.raises(RuntimeFailure, match="used by a container"):
        await world.runtime.remove_image("busybox:test")
    await world.runtime.remove_sandbox("uid-a")
    await world.runtime.remove_image("busybox:test")
    assert await world.runtime.image_status("busybox:test") is None


@pytest.mark.skipif(not IS_ROOT, reason="we are such a user")
def test_as_any_user(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Run this file as a user without privileges, with a Python that such a user may execute."""
    python = next((p for p in (sys.executable, "/usr/bin/python3") if may_be_run_by_anyone(p)), None)
    if python is None or shutil.which("setpriv") is None:
        pytest.skip("there is no setpriv, or no Python that another user may execute")
    directory = Path("/tmp") / f"moorage-user-test-{os.getpid()}"
    directory.mkdir()
    os.chown(directory, 3001, 3001)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": ":".join(path for path in sys.path if "packages" in path)}
    command = [
        "setpriv",
        "--reuid=3001",
        "--regid=3001",
        "--clear-groups",
        python,
        "-B",
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
    ]
    command += [f"--basetemp={directory}/t", "-o", "asyncio_default_fixture_loop_scope=function", __file__]
    try:
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    finally:
        shutil.rmtree(directory)
    assert result.returncode == 0, result.stdout + result.stderr


def may_be_run_by_anyone(python: str) -> bool:
    path = Path(python).resolve()
    version = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    is_reachable = all(parent.stat().st_mode & 0o001 for parent in path.parents)
    return is_reachable and path.exists() and subprocess.run([python, "-c", version], check=False).returncode == 0


async def test_a_directory_without_overlay_is_refused_with_advice(tmp_path: Path) -> None:
    if not IS_ROOT:
        pytest.skip("only root can mount something there first")
    for name in ("lower", "upper", "work", "root"):
        (tmp_path / name).mkdir()
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    mounted = subprocess.run(["mount", "-t", "overlay", "-o", options, "x", str(tmp_path / "root")], check=False)
    if mounted.returncode:
        pytest.skip("no overlay can be mounted here at all")
    host = NativeHost(tmp_path / "root/run")
    try:
        with pytest.raises(RuntimeFailure, match="What helps: a state directory on ext4") as refused:
            await host.start()
        assert refused.value.reason == "OverlayUnavailable"
    finally:
        await host.destroy()
        subprocess.run(["umount", str(tmp_path / "root")], check=True)


async def test_a_path_that_overlay_cannot_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeFailure) as refused:
        await NativeHost(tmp_path / "a:b").start()
    assert refused.value.reason == "InvalidStateDirectory"
