"""Where a cluster lives: as root straight in the machine, else in one user namespace of its own.

Modes: "root" (everything), "range" (newuidmap gave us a range of ids), "single" (only our own id, shown as root).
"""

import os
from collections.abc import Sequence

from moorage.node.runtimes.native import syscalls

_NAMESPACES = syscalls.NEWNET | syscalls.NEWNS


def enter(former: Sequence[int] = ()) -> str:
    """Enter (or make) the cluster's namespaces and return the mode.

    former: descriptors of the user and network namespaces of a host zygote that was killed, if something still holds them.

    Raises OSError whose filename names the step.
    """
    if former:
        return _follow(former)
    mode = "root"
    if os.geteuid() == 0:
        try:
            syscalls.unshare(_NAMESPACES)
        except PermissionError:
            mode = _make()
            syscalls.unshare(_NAMESPACES)
    else:
        mode = _make()
        syscalls.unshare(_NAMESPACES)
    syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_SLAVE)
    return mode


def _follow(former: Sequence[int]) -> str:
    """Enter the namespaces of a former host zygote: who made a user namespace may enter it."""
    user, network = former
    rootless = os.fstat(user).st_ino != os.stat("/proc/self/ns/user").st_ino
    if rootless:
        syscalls.setns(user, syscalls.NEWUSER)
        _become_root()
    syscalls.setns(network, syscalls.NEWNET)
    syscalls.unshare(syscalls.NEWNS)
    syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_SLAVE)
    if not rootless:
        return "root"
    with open("/proc/self/uid_map", encoding="utf-8") as file:
        return "range" if len(file.readlines()) > 1 else "single"


def _become_root() -> None:
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def _make() -> str:
    """Make a user namespace in which we are root."""
    uid, gid, parent = os.geteuid(), os.getegid(), os.getpid()
    uids, gids = _range_of("/etc/subuid", uid), _range_of("/etc/subgid", uid)
    read, write = os.pipe()
    helper = 0
    if uids and gids and _has("newuidmap") and _has("newgidmap"):
        helper = os.fork()
        if helper == 0:  # only a process outside may map more than one id
            os.close(write)
            os.read(read, 1)
            failed = _map_range("newuidmap", parent, uid, uids) or _map_range("newgidmap", parent, gid, gids)
            os._exit(1 if failed else 0)
    os.close(read)
    syscalls.unshare(syscalls.NEWUSER)
    os.close(write)
    if helper and os.waitpid(helper, 0)[1] == 0:
        _become_root()
        return "range"
    for file, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{file}", "w", encoding="utf-8") as target:
            target.write(text)
    _become_root()
    return "single"


def _has(tool: str) -> bool:
    return any(os.access(f"{d}/{tool}", os.X_OK) for d in os.environ.get("PATH", "/usr/bin").split(":"))


def _map_range(tool: str, pid: int, own: int, others: tuple[str, ...]) -> bool:
    import subprocess

    command = [tool, str(pid), "0", str(own), "1", "1", *others]
    return subprocess.run(command, capture_output=True, check=False).returncode != 0  # noqa: S603


def _range_of(file: str, uid: int) -> tuple[str, ...]:
    """Return (first, count), or nothing, for the user in /etc/subuid or /etc/subgid."""
    import pwd

    names = {str(uid)}
    try:
        names.add(pwd.getpwuid(uid).pw_name)
        with open(file, encoding="utf-8") as lines:
            for line in lines:
                name, _, rest = line.strip().partition(":")
                first, _, count = rest.partition(":")
                if name in names and count:
                    return first, count
    except (OSError, KeyError):
        pass
    return ()
