"""Users, groups, capabilities: who a container's process is. Runs in the container's child, after pivot_root.

In the "single" mode one user id exists: a container that runs as user N gets a user namespace of its own that shows
our id as N; one that runs as root keeps it, with a filter that lets changes of owner and user succeed without effect.
"""

import contextlib
import os
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from moorage.node.runtimes.native import syscalls

#: In the order of their numbers.
CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP"),
    *("LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER"),
    *("SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE"),
    *("SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP"),
    *("MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF"),
    "CHECKPOINT_RESTORE",
)
#: What containerd grants unless told otherwise.
DEFAULT_CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP"),
    *("NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"),
)
EVERYTHING = (1 << len(CAPABILITIES)) - 1

#: setuid, setgid, setreuid, setregid, setgroups, setresuid, setresgid, setfsuid, setfsgid, chown, fchown, lchown,
#: fchownat, mknod, mknodat of each machine, and its AUDIT_ARCH number.
_PRETENDED = {
    "x86_64": (0xC000003E, (105, 106, 113, 114, 116, 117, 119, 122, 123, 92, 93, 94, 260, 133, 259)),
    "aarch64": (0xC00000B7, (146, 144, 145, 143, 159, 147, 149, 151, 152, 55, 54, 33)),
}


class User(NamedTuple):
    """A resolved user."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


def capability_mask(add: Sequence[str], drop: Sequence[str], *, privileged: bool) -> int:
    """Return the bit mask for securityContext.capabilities. Raises ValueError for an unknown name."""
    if privileged:
        return EVERYTHING
    names = set(DEFAULT_CAPABILITIES)
    if "ALL" in drop:
        names.clear()
    if "ALL" in add:
        names.update(CAPABILITIES)
    names.difference_update(_plain(name) for name in drop if name != "ALL")
    names.update(_plain(name) for name in add if name != "ALL")
    return sum(1 << CAPABILITIES.index(name) for name in names)


def _plain(name: str) -> str:
    plain = name.upper().removeprefix("CAP_")
    if plain not in CAPABILITIES:
        raise ValueError(f'unknown capability "{name}" to add or drop')
    return plain


def resolve_user(wanted: str, extra_groups: Sequence[int], root: str = "") -> User:
    """Resolve "uid", "name", "uid:gid" or "name:group" with the image's /etc/passwd and /etc/group.

    Raises ValueError in the words of containerd when a name is unknown.
    """
    name, _, group = wanted.partition(":")
    entry = _find(f"{root}/etc/passwd", name or "0", 2)
    if entry is None and name and not name.isdigit():
        raise ValueError(f"unable to find user {name}: no matching entries in passwd file")
    uid = int(entry[2]) if entry else int(name or 0)
    gid = int(entry[3]) if entry and entry[3].isdigit() else 0
    if group:
        found = _find(f"{root}/etc/group", group, 2)
        if found is None and not group.isdigit():
            raise ValueError(f"unable to find group {group}: no matching entries in group file")
        gid = int(found[2]) if found else int(group)
    groups = list(extra_groups)
    if entry:
        groups += [int(line[2]) for line in _lines(f"{root}/etc/group", 4) if entry[0] in line[3].split(",")]
    home = entry[5] if entry and len(entry) > 5 and entry[5] else "/root" if uid == 0 else "/"
    return User(uid, gid, tuple(dict.fromkeys(groups)), home)


def _lines(path: str, fields: int) -> Iterator[list[str]]:
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            parts = line.rstrip("\n").split(":")
            if len(parts) >= fields and parts[2].isdigit():
                yield parts


def _find(path: str, wanted: str, number_field: int) -> list[str] | None:
    for parts in _lines(path, 4):
        if parts[0] == wanted or parts[number_field] == wanted:
            return parts
    return None


def become(user: User, capabilities: int, *, mode: str) -> None:
    """Become the user, with no more than these capabilities. mode: "root", "range" or "single". Raises OSError."""
    if mode == "single":
        _become_alone(user, capabilities)
        return
    os.setgroups([*user.groups] if user.groups else [user.gid])
    os.setresgid(user.gid, user.gid, user.gid)
    if user.uid:
        _drop_bounding(capabilities)
        os.setresuid(user.uid, user.uid, user.uid)
    else:
        syscalls.limit_capabilities(capabilities)


def _drop_bounding(keep: int) -> None:
    for number in range(len(CAPABILITIES)):
        if not keep >> number & 1:
            with contextlib.suppress(OSError):
                syscalls.prctl(syscalls.PR_CAPBSET_DROP, number)


def _become_alone(user: User, capabilities: int) -> None:
    if user.uid or user.gid:
        syscalls.unshare(syscalls.NEWUSER)
        for file, text in (("setgroups", "deny"), ("uid_map", f"{user.uid} 0 1"), ("gid_map", f"{user.gid} 0 1")):
            with open(f"/proc/self/{file}", "w", encoding="utf-8") as target:
                target.write(text)
    else:
        _pretend_changes_of_owner()
    syscalls.limit_capabilities(0 if user.uid else capabilities)


def _pretend_changes_of_owner() -> None:
    """Let setuid, chown, mknod and the like return 0 without effect (the idea is Charliecloud's)."""
    machine = _PRETENDED.get(os.uname().machine)
    if machine is None:
        return
    architecture, numbers = machine
    load, equal, give, allow, errno_0 = 0x20, 0x15, 0x06, 0x7FFF0000, 0x00050000
    program = [(load, 0, 0, 4), (equal, 1, 0, architecture), (give, 0, 0, allow), (load, 0, 0, 0)]
    program += [(equal, len(numbers) - place, 0, number) for place, number in enumerate(numbers)]
    program += [(give, 0, 0, allow), (give, 0, 0, errno_0)]
    syscalls.install_seccomp_filter(b"".join(struct.pack("HBBI", *step) for step in program))
