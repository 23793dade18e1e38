"""Runs a program under what a systemd unit restricts, as far as that can be done without systemd.

    sandbox.py RESTRICTIONS WRITABLE:… PROGRAM [ARGUMENT]…

RESTRICTIONS is a file made by restrictions_of(). Done: the system-call filter with its groups, address
families, no memory both writable and executable, no namespaces, no other personality, no set-user-id bits, no new
privileges, no capabilities. Where this machine allows namespaces also a file system that can be read, and written
below WRITABLE only, and with PrivateNetwork= a network of which only the loopback interface is there.
Not done, since the server does not look at them or needs systemd for it: another user (privileges_test.py has one),
/tmp, /dev and home folders of its own, what is hidden in /proc, namespaces of users and IPC, IPAddressDeny=. What
Protect*= takes away of the kernel goes with the capabilities.
"""

import ctypes
import fcntl
import json
import os
import re
import socket
import stat
import struct
import subprocess
import sys

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = (
    1, 2, 4, 8, 32, 4096, 16384, 1 << 18)
CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_SET_SECUREBITS, PR_SET_NO_NEW_PRIVS = 23, 24, 28, 38
NOROOT_LOCKED = 3
PROT_WRITE, PROT_EXEC = 2, 4
# All kinds of namespaces; CLONE_NEWTIME is a signal's bit to clone.
CLONE_NEW, CLONE_NEWTIME = 0x7E020000, 0x80
PER_LINUX, PER_WHICH = 0, 0xFFFFFFFF
SET_ID_BITS = stat.S_ISUID | stat.S_ISGID
# Where a call has the mode of what it makes or changes.
MODE_AT = {"chmod": 1, "fchmod": 1, "fchmodat": 2, "fchmodat2": 2, "mkdir": 1, "mkdirat": 2, "mknod": 1, "mknodat": 2,
           "creat": 1}
# Their arguments are in memory, where a filter does not look: libc does without them.
NOT_THERE = ("clone3", "openat2")
ASSUMED = {"MemoryDenyWriteExecute": "yes", "ProtectSystem": "strict", "SystemCallErrorNumber": "EPERM",
           "RestrictNamespaces": "yes", "LockPersonality": "yes", "RestrictSUIDSGID": "yes"}


def group_calls(name, seen=None):
    """The system calls of a group of systemd's, and of the groups in it."""
    done = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True,
                          env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "SYSTEMD_COLORS": "0"})
    calls = set()
    for word in re.findall(r"^    ([@a-z0-9_-]+)$", done.stdout, re.MULTILINE):
        calls |= group_calls(word) if word.startswith("@") else {word}
    assert calls, done.stdout
    return calls


def unit_values(text, key):
    """The values of a key, line by line, with an empty one taking back those before it."""
    values = []
    for line in re.findall(rf"^{key}=(.*)$", text, re.MULTILINE):
        values = values + [line] if line else []
    return values


def namespaces_refused():
    """Why this machine lets nobody have mounts and a network of its own, or None. Asked of another process, since it
    cannot be undone; containers without CAP_SYS_ADMIN refuse it to root, too."""
    done = subprocess.run(["unshare", "--mount", "--net", "true"], capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode != 0 else None


def restrictions_of(unit):
    """What the text of a unit restricts, as plain data; `refused` is why file system and network are left open here."""
    calls = group_calls("@default")
    for line in unit_values(unit, "SystemCallFilter"):
        names = set()
        for word in line.removeprefix("~").split():
            names |= group_calls(word) if word.startswith("@") else {word}
        calls = calls - names if line.startswith("~") else calls | names
    assert {key: unit_values(unit, key) for key in ASSUMED} == {key: [value] for key, value in ASSUMED.items()}
    families = " ".join(unit_values(unit, "RestrictAddressFamilies")).split()
    return {"calls": sorted(calls), "families": families, "refused": namespaces_refused(),
            "private_network": unit_values(unit, "PrivateNetwork") == ["yes"]}


def libc_call(function, *arguments):
    if function(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{function.__name__}{arguments}: {os.strerror(error)}")


def file_system_close(libc, writable):
    libc_call(libc.unshare, CLONE_NEWNS)
    libc_call(libc.mount, None, b"/", None, MS_REC | MS_PRIVATE, None)
    for folder in writable:
        libc_call(libc.mount, folder.encode(), folder.encode(), None, MS_BIND, None)
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        rows = [line.split() for line in mounts]
    for row in rows:
        # The kernel writes blanks and such as octal.
        point = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), row[4])
        if point in writable or point.startswith(("/dev", "/proc")):
            continue
        kept = sum(flag for word, flag in (("nosuid", MS_NOSUID), ("nodev", MS_NODEV), ("noexec", MS_NOEXEC))
                   if word in row[5].split(","))
        if libc.mount(None, point.encode(), None, MS_REMOUNT | MS_BIND | MS_RDONLY | kept, None) != 0 and point == "/":
            raise OSError(ctypes.get_errno(), "the file system cannot be made read-only")


def network_close(libc):
    """What listens already, and is handed in, stays in the network where it was made."""
    libc_call(libc.unshare, CLONE_NEWNET)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))


def capabilities_drop(libc):
    libc_call(libc.prctl, PR_SET_SECUREBITS, NOROOT_LOCKED, 0, 0, 0)
    number = 0
    while libc.prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0:
        libc_call(libc.prctl, PR_CAPBSET_DROP, number, 0, 0, 0)
        number += 1


def filter_load(restrictions):
    import errno  # pylint: disable=import-outside-toplevel
    import seccomp  # pylint: disable=import-error,import-outside-toplevel
    rules = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
    special = {
        "socket": [[seccomp.Arg(0, seccomp.EQ, int(getattr(socket, family)))] for family in restrictions["families"]],
        "mmap": [[seccomp.Arg(2, seccomp.MASKED_EQ, PROT_WRITE | PROT_EXEC, some)]
                 for some in (0, PROT_WRITE, PROT_EXEC)],
        "mprotect": [[seccomp.Arg(2, seccomp.MASKED_EQ, PROT_EXEC, 0)]],
        "pkey_mprotect": [[seccomp.Arg(2, seccomp.MASKED_EQ, PROT_EXEC, 0)]],
        "clone": [[seccomp.Arg(0, seccomp.MASKED_EQ, CLONE_NEW, 0)]],
        "unshare": [[seccomp.Arg(0, seccomp.MASKED_EQ, CLONE_NEW | CLONE_NEWTIME, 0)]],
        "setns": [],
        "personality": [[seccomp.Arg(0, seccomp.EQ, which)] for which in (PER_LINUX, PER_WHICH)],
        **{name: [[seccomp.Arg(at, seccomp.MASKED_EQ, SET_ID_BITS, 0)]] for name, at in MODE_AT.items()},
        **{name: [[seccomp.Arg(at, seccomp.MASKED_EQ, os.O_CREAT, 0)],
                  [seccomp.Arg(at + 1, seccomp.MASKED_EQ, SET_ID_BITS, 0)]]
           for name, at in (("open", 1), ("openat", 2))},
        **{name: [] for name in NOT_THERE},
    }
    for name in restrictions["calls"]:
        if seccomp.resolve_syscall(seccomp.Arch(), name) < 0:
            continue  # not of this processor
        for arguments in special.get(name, [[]]):
            rules.add_rule(seccomp.ALLOW, name, *arguments)
    for name in NOT_THERE:
        rules.add_rule(seccomp.ERRNO(errno.ENOSYS), name)
    rules.load()


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        restrictions = json.load(file)
    writable, program = sys.argv[2].split(":"), sys.argv[3:]
    libc = ctypes.CDLL(None, use_errno=True)
    if not restrictions["refused"]:
        file_system_close(libc, writable)
        if restrictions["private_network"]:
            network_close(libc)
    if os.geteuid() == 0:
        capabilities_drop(libc)
    libc_call(libc.prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    filter_load(restrictions)
    os.execv(program[0], program)


if __name__ == "__main__":
    main()
