"""The child that becomes a container: root filesystem, mounts, devices, masks, then the command.

Runs between clone and execve in a process of its own. After pivot_root absolute paths are the container's, so that a
link in an image cannot lead a mount out of it; the host is reached relative to the working directory until it is
detached. Nothing may be imported after pivot_root.
"""

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from moorage.node.runtimes.native import credentials, syscalls
from moorage.node.runtimes.native.syscalls import (
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
    MS_SLAVE,
)

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
#: Source: containerd's default OCI specification.
MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_KEPT_FLAGS = ((os.ST_NOSUID, MS_NOSUID), (os.ST_NODEV, MS_NODEV), (os.ST_NOEXEC, MS_NOEXEC), (os.ST_RDONLY, MS_RDONLY))
_TIOCSCTTY, _TIOCSPTLCK, _TIOCGPTPEER = 0x540E, 0x40045431, 0x5441

Spec = Mapping[str, Any]


class CannotExecute(Exception):
    """The command cannot be executed; the text is runc's."""


class Doors(NamedTuple):
    """Descriptors that lead out of the child: standard streams, where it reports, how it enters its control groups."""

    streams: Sequence[int]
    status: int
    groups: Sequence[int]


def run(spec: Spec, pod: Spec, doors: Doors) -> None:
    """Become the container. Never returns: what fails is reported as JSON on the status socket."""
    _guarded(doors, lambda doors: _become_container(spec, pod, doors))


def run_beside(spec: Spec, pod: Spec, doors: Doors) -> None:
    """Become a command that runs beside a container, whose namespaces were entered already. Never returns."""
    _guarded(doors, lambda doors: _execute(spec, pod, doors))


def _guarded(doors: Doors, work: Callable[[Doors], None]) -> None:
    status = fcntl.fcntl(doors.status, fcntl.F_DUPFD_CLOEXEC, 64)  # out of the way of the standard streams
    try:
        work(doors._replace(status=status))
    except CannotExecute as error:
        _report(status, "StartError", str(error))
    except OSError as error:
        step = error.filename if isinstance(error.filename, str) else ""
        _report(status, "RunContainerError", f"{step}: {error.strerror}" if step else str(error))
    except ValueError as error:
        _report(status, "CreateContainerError", str(error))
    except BaseException as error:  # noqa: BLE001 - this process has no one above it
        _report(status, "RunContainerError", f"{type(error).__name__}: {error}")
    finally:
        os._exit(128)


def _report(status: int, reason: str, message: str) -> None:
    with contextlib.suppress(OSError):
        os.write(status, json.dumps({"reason": reason, "message": message}).encode())


def _become_container(spec: Spec, pod: Spec, doors: Doors) -> None:
    syscalls.mount(None, "/", None, MS_REC | MS_SLAVE)
    _mount_root(spec, pod)
    old = os.open("/", os.O_PATH | os.O_DIRECTORY)
    mounts = [(os.path.realpath(source).lstrip("/") or ".", target, ro) for source, target, ro in spec["mounts"]]
    os.chdir(pod["root"])
    syscalls.pivot_root(".", ".")
    os.fchdir(old)
    _mount_kernel(privileged=spec["privileged"])
    for source, target, read_only in mounts:
        _bind(source, target, read_only=read_only)
    if not spec["privileged"]:
        _hide()
    syscalls.unmount(".")
    os.chdir("/")
    if spec["read_only"]:
        _remount("/", MS_RDONLY)
    _execute(spec, pod, doors)


def _mount_root(spec: Spec, pod: Spec) -> None:
    directory = spec["directory"]
    parent = os.path.dirname(spec["layers"][0])
    os.chdir(parent)  # mount options end at one page: many layers need short names
    layers = ":".join([pod["layer"], *(os.path.relpath(layer, parent) for layer in spec["layers"])])
    options = f"lowerdir={layers},upperdir={directory}/upper,workdir={directory}/work"
    if pod["user_xattr"]:
        options += ",userxattr"
    syscalls.mount("overlay", pod["root"], "overlay", MS_NODEV, options)


def _mount_kernel(*, privileged: bool) -> None:
    quiet = MS_NOSUID | MS_NODEV | MS_NOEXEC
    for directory in ("/proc", "/dev", "/sys"):
        with contextlib.suppress(FileExistsError):
            os.mkdir(directory)
    syscalls.mount("proc", "/proc", "proc", quiet)
    if privileged:
        syscalls.mount("dev", "/dev", None, MS_BIND | MS_REC)
    else:
        syscalls.mount("tmpfs", "/dev", "tmpfs", MS_NOSUID, "mode=755,size=64k")
        for name in DEVICES:
            os.close(os.open(f"/dev/{name}", os.O_CREAT | os.O_WRONLY, 0o666))
            syscalls.mount(f"dev/{name}", f"/dev/{name}", None, MS_BIND)
        for name, target in DEVICE_LINKS.items():
            os.symlink(target, f"/dev/{name}")
    for directory in ("/dev/pts", "/dev/shm"):  # noqa: S108
        with contextlib.suppress(FileExistsError):
            os.mkdir(directory)
    syscalls.mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
    syscalls.mount("shm", "/dev/shm", "tmpfs", quiet, "mode=1777,size=65536k")  # noqa: S108
    with contextlib.suppress(OSError):  # a host-network pod without root may not
        syscalls.mount("sysfs", "/sys", "sysfs", quiet | (0 if privileged else MS_RDONLY))


def _bind(source: str, target: str, *, read_only: bool) -> None:
    target = os.path.realpath(target)  # a link in the image may lead anywhere in it, also to what is not there yet
    if not os.path.exists(target):
        if os.path.isdir(source):
            os.makedirs(target, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    syscalls.mount(source, target, None, MS_BIND | MS_REC)
    _remount(target, MS_RDONLY if read_only else 0)


def _remount(target: str, flags: int) -> None:
    """Forbid devices and change a mount's flags, keeping those that a user namespace has locked."""
    have = os.statvfs(target).f_flag
    for shown, flag in _KEPT_FLAGS:
        flags |= flag if have & shown else 0
    syscalls.mount(None, target, None, MS_BIND | MS_REMOUNT | flags | MS_NODEV)


def _hide() -> None:
    for path in READ_ONLY:
        if os.path.exists(path):
            syscalls.mount(path, path, None, MS_BIND | MS_REC)
            _remount(path, MS_RDONLY | MS_NOSUID | MS_NOEXEC)
    for path in MASKED:
        if os.path.isdir(path):
            syscalls.mount("tmpfs", path, "tmpfs", MS_RDONLY, "size=0k")
        elif os.path.exists(path):
            syscalls.mount("/dev/null", path, None, MS_BIND)


def _execute(spec: Spec, pod: Spec, doors: Doors) -> None:
    streams, status = doors.streams, doors.status
    if spec["tty"]:
        streams = [_open_terminal(status)] * 3
    user = credentials.resolve_user(spec["user"], spec["groups"])
    environment = {"PATH": PATH, "HOSTNAME": pod["hostname"], "HOME": user.home, **spec["env"]}
    if spec["tty"]:
        environment.setdefault("TERM", "xterm")
    for group in doors.groups:
        os.write(group, b"0")
    _arrange_descriptors(streams, status)
    os.setsid()
    if spec["tty"]:
        fcntl.ioctl(0, _TIOCSCTTY, 0)
        os.fchown(0, user.uid if pod["mode"] != "single" else 0, -1)
    os.umask(0o022)
    directory = spec["cwd"] or "/"
    os.makedirs(directory, exist_ok=True)
    credentials.become(user, spec["capabilities"], mode=pod["mode"])
    _enter_directory(directory)
    _reset_signals()
    _die_with_parent(status)
    if spec["no_new_privileges"]:
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    _replace(list(spec["argv"]), environment)


def _open_terminal(status: int) -> int:
    """Open a terminal of the container's own devpts; its master goes to the shim."""
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
    fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
    terminal = fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY)
    with socket.socket(fileno=os.dup(status)) as sender:
        socket.send_fds(sender, [b"t"], [master])
    return terminal


def _arrange_descriptors(streams: Sequence[int], status: int) -> None:
    """Make the streams 0, 1 and 2 and close everything else but the status socket."""
    copies = [fcntl.fcntl(stream, fcntl.F_DUPFD_CLOEXEC, 64) for stream in streams]
    for number, copy in enumerate(copies):
        os.dup2(copy, number)
    os.closerange(3, status)
    os.closerange(status + 1, 1 << 20)


def _enter_directory(directory: str) -> None:
    try:
        os.chdir(directory)
    except OSError as error:
        raise CannotExecute(
            f'unable to start container process: chdir to cwd ("{directory}") set in config.json '
            f"failed: {(error.strerror or '').lower()}"
        ) from error


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in range(1, 65):
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _die_with_parent(status: int) -> None:
    """Ask to be killed with the shim; a shim that is gone already shows as a closed status socket."""
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    poller = select.poll()
    poller.register(status, 0)
    if any(event & (select.POLLERR | select.POLLHUP) for _, event in poller.poll(0)):
        os._exit(128)


def _replace(argv: list[str], environment: Mapping[str, str]) -> None:
    """Execute, searching PATH by hand: os.execvpe imports, and there is nothing left to import from."""
    command = argv[0]
    places = [command] if "/" in command else [f"{d or '.'}/{command}" for d in environment["PATH"].split(":")]
    refused: OSError | None = None
    for place in places:
        try:
            os.execve(place, argv, environment)  # noqa: S606 - this is what containers are for
        except OSError as error:
            if refused is None or not isinstance(error, FileNotFoundError | NotADirectoryError):
                refused = error
    prefix = f'unable to start container process: exec: "{command}": '
    if isinstance(refused, FileNotFoundError | NotADirectoryError):
        if "/" in command:
            raise CannotExecute(f"{prefix}stat {command}: no such file or directory")
        raise CannotExecute(prefix + "executable file not found in $PATH")
    raise CannotExecute(prefix + ((refused.strerror or "").lower() if refused else "no command"))
