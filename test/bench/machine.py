"""Cores, processor time, and who else used it while something was measured."""

import contextlib
import dataclasses
import os
import pathlib
import platform
import resource
import time

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
KERNEL_THREADS_PARENT = 2
FOREIGN_MAX_SHARE = 0.05  # of a core
# The kernel counts what all processors did by looking at each tick; short runs are uncertain.
UNSEEN_MAX_SHARE = 0.20
# And each process's in such ticks: of the shortest measurements one is a twentieth already.
UNCERTAIN_TICKS = 2

SERVER_CORE, LOAD_CORE = 0, 1

DESCRIPTORS_MAX = 52_000  # of a process, where the system allows more: 50,000 connections and what else is open


def cores_are_enough():
    return {SERVER_CORE, LOAD_CORE} <= os.sched_getaffinity(0)


def pin(*cores):
    """For subprocess.Popen(preexec_fn=...)."""
    return lambda: os.sched_setaffinity(0, cores)


@contextlib.contextmanager
def on_load_core():
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {LOAD_CORE})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def descriptors_raise():
    """Up to the hard limit, for this process and those it starts; how many each of them may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = DESCRIPTORS_MAX if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS_MAX)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    return count


def description():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return (f"{os.cpu_count()} × {models[0] if models else platform.machine()}, "
            f"{pages / 2**30:.0f} GiB, {platform.system()} {platform.release()}")


def kernel_caches():
    """What the kernel has of its objects: cache -> (how many, bytes each with their part of the page). Only root is
    told; else all caches together are one, and what others do counts as well."""
    try:
        with open("/proc/slabinfo", encoding="ascii") as file:
            lines = file.readlines()[2:]
    except PermissionError:
        with open("/proc/meminfo", encoding="ascii") as file:
            kib = next(int(line.split()[1]) for line in file if line.startswith("Slab:"))
        return {"Slab": (kib * 1024, 1)}
    found = {}
    for line in lines:
        name, active, _, _, each_slab, pages, *_ = line.split()
        found[name] = (int(active), int(pages) * resource.getpagesize() / int(each_slab))
    return found


def kernel_growth(before, after, connections):
    """Bytes of the objects of which there are more now, at least one for four connections: a connection has several, on
    both sides, and what others need meanwhile is no part of it. Nor is what stays behind a look at /proc/PID/fd, which
    programs that watch others take: an inode of /proc and its entry for each descriptor, a fifth of all."""
    more = {name: count - before.get(name, (0, 0))[0] for name, (count, _) in after.items()}
    watched = max(more.pop("proc_inode_cache", 0), 0)
    for name in more.keys() & {"dentry", "lsm_inode_cache"}:
        more[name] -= watched
    return sum(grown * after[name][1] for name, grown in more.items() if grown >= connections / 4)


def memory_bytes(pid, field):
    """VmRSS or VmHWM of a process, and of its children: nginx has workers."""
    total = 0
    for each in [pid, *children(pid)]:
        with open(f"/proc/{each}/status", encoding="ascii", errors="replace") as status:
            for line in status:
                if line.startswith(field + ":"):
                    total += int(line.split()[1]) * 1024
    return total


def children(pid):
    with contextlib.suppress(OSError):
        return [int(each) for each in
                pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    return []


@dataclasses.dataclass
class Snapshot:
    taken_s: float        # of the monotonic clock
    processes: dict       # pid -> (seconds used by it and its reaped children, name, parent)
    busy_s: float         # of all processors, as the kernel counts ticks
    stolen_s: float
    own_s: float          # this process and the children it has waited for


def snapshot():
    processes = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError), \
                open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
            head, _, rest = file.read().rpartition(")")
            columns = rest.split()
            ticks = sum(int(column) for column in columns[11:15])
            processes[int(entry)] = (ticks / TICKS_PER_SECOND, head.partition("(")[2],
                                     int(columns[1]))
    with open("/proc/stat", encoding="ascii") as file:
        columns = [int(each) / TICKS_PER_SECOND for each in file.readline().split()[1:]]
    own_s = sum(usage.ru_utime + usage.ru_stime
                for usage in (resource.getrusage(resource.RUSAGE_SELF),
                              resource.getrusage(resource.RUSAGE_CHILDREN)))
    return Snapshot(time.monotonic(), processes, sum(columns[:3]), columns[7], own_s)


def earlier_use(before, after):
    """What each process of `after` had used by then: itself, and the children it has buried since."""
    earlier = {}
    for pid, (seconds, _, _) in before.processes.items():
        heir = pid
        while heir not in after.processes and heir in before.processes:
            heir = before.processes[heir][2]
        earlier[heir] = earlier.get(heir, 0.0) + seconds
    return earlier


def foreign_use(before, after, own_pids):
    """What others took between two snapshots, as a share of a core, and who: (share, text)."""
    elapsed_s = after.taken_s - before.taken_s
    own = {os.getpid(), *own_pids}
    for pid in own_pids:
        own.update(children(pid))
    earlier = earlier_use(before, after)
    used, seen_s, own_s = [], 0.0, after.own_s - before.own_s
    for pid, (seconds, name, parent) in after.processes.items():
        took = max(seconds - earlier.get(pid, 0.0), 0.0)
        if pid == os.getpid():
            continue
        if pid in own:
            own_s += took
        elif KERNEL_THREADS_PARENT in (pid, parent):
            own_s += took  # writes and flushes on behalf of who is measured
        elif took > 0:
            used.append((took, name, pid))
            seen_s += took
    stolen_s = after.stolen_s - before.stolen_s
    if stolen_s > 0:
        used.append((stolen_s, "the hypervisor", 0))
        seen_s += stolen_s
    unseen_s = (after.busy_s - before.busy_s) - own_s - seen_s
    if unseen_s > UNSEEN_MAX_SHARE * elapsed_s:
        used.append((unseen_s, "processes that came and went", 0))
        seen_s += unseen_s
    used.sort(reverse=True)
    who = ", ".join(f"{name}{f' ({pid})' if pid else ''} {100 * took / elapsed_s:.0f} %"
                    for took, name, pid in used[:4])
    return seen_s / elapsed_s, who


def foreign_limit(before, after):
    """The share of a core up to which nobody is said to have been there."""
    return FOREIGN_MAX_SHARE + UNCERTAIN_TICKS / TICKS_PER_SECOND / (after.taken_s - before.taken_s)
