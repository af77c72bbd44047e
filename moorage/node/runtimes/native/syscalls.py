"""System calls that Python does not wrap: namespaces, mounts, clone, capabilities, seccomp.

Each function raises OSError with the call and its argument in `filename`, so that a failure names its step. Only for
single-threaded Linux processes: `clone` skips what fork() does for threads.
"""

import ctypes
import os
import struct

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
CLONE_PARENT = 0x8000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_SLAVE = 4096, 16384, 1 << 19
MNT_DETACH = 2

PR_SET_PDEATHSIG, PR_SET_NAME, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 15, 22, 24, 38

#: System call numbers that libc has no wrapper for, by machine.
NUMBERS = {
    "x86_64": {"clone": 56, "pivot_root": 155},
    "aarch64": {"clone": 220, "pivot_root": 41},
}
SIGCHLD = 17

_libc = ctypes.CDLL(None, use_errno=True)
_numbers = NUMBERS.get(os.uname().machine, {})
_CAP_VERSION_3 = 0x20080522


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def _bytes(value: str | None) -> bytes | None:
    return None if value is None else os.fsencode(value)


def unshare(flags: int) -> None:
    """Leave the namespaces named by `flags` for new ones."""
    _check(_libc.unshare(flags), f"unshare {flags:#x}")


def setns(descriptor: int, kind: int = 0) -> None:
    """Enter the namespace that the descriptor stands for."""
    _check(_libc.setns(descriptor, kind), f"setns {kind:#x}")


def mount(source: str | None, target: str, kind: str | None = None, flags: int = 0, data: str | None = None) -> None:
    """Attach a file system, or with MS_BIND a part of one; the arguments are those of the system call."""
    result = _libc.mount(_bytes(source), _bytes(target), _bytes(kind), ctypes.c_ulong(flags), _bytes(data))
    _check(result, f"mount {source or kind} on {target}")


def unmount(target: str) -> None:
    """Detach the mount at `target` at once, whoever uses it."""
    _check(_libc.umount2(_bytes(target), MNT_DETACH), f"unmount {target}")


def pivot_root(new: str, old: str) -> None:
    """Make `new` the root of this mount namespace and put the old one at `old`."""
    _check(_libc.syscall(_numbers["pivot_root"], _bytes(new), _bytes(old)), "pivot_root")


def sethostname(name: str) -> None:
    """Set the host name of this UTS namespace."""
    encoded = name.encode()
    _check(_libc.sethostname(encoded, len(encoded)), "sethostname")


def prctl(option: int, first: int = 0, second: int = 0) -> None:
    """Change an attribute of this process; the arguments are those of the system call."""
    arguments = [ctypes.c_ulong(value) for value in (first, second, 0, 0)]
    _check(_libc.prctl(option, *arguments), f"prctl {option}")


def prctl_name(name: str) -> None:
    """Set the name that `ps` shows (15 characters)."""
    buffer = ctypes.create_string_buffer(name.encode()[:15])
    prctl(PR_SET_NAME, ctypes.addressof(buffer))


def clone(flags: int) -> int:
    """Fork into new namespaces (or, with CLONE_PARENT, as a child of our parent); returns 0 in the child."""
    return _check(_libc.syscall(_numbers["clone"], ctypes.c_ulong(flags | SIGCHLD), 0, 0, 0, 0), f"clone {flags:#x}")


def limit_capabilities(keep: int) -> None:
    """Take every capability that is not in the bit mask `keep` from this process and from what it will execute."""
    for number in range(64):
        if not keep >> number & 1 and _libc.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(number), 0, 0, 0) < 0:
            break  # beyond the last one this kernel knows
    header = ctypes.create_string_buffer(struct.pack("Ii", _CAP_VERSION_3, 0), 8)
    current = ctypes.create_string_buffer(24)
    _check(_libc.capget(header, current), "capget")
    effective, permitted, _, effective_high, permitted_high, _ = struct.unpack("6I", current.raw)
    low, high = keep & 0xFFFFFFFF, keep >> 32
    wanted = struct.pack("6I", effective & low, permitted & low, 0, effective_high & high, permitted_high & high, 0)
    _check(_libc.capset(header, ctypes.create_string_buffer(wanted, 24)), "capset")


def install_seccomp_filter(program: bytes) -> None:
    """Install a BPF program of 8-byte instructions; needs no_new_privs or CAP_SYS_ADMIN in our user namespace."""
    code = ctypes.create_string_buffer(program, len(program))
    frame = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(code)), 16)
    prctl(PR_SET_SECCOMP, 2, ctypes.addressof(frame))
