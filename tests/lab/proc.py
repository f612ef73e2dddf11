# SPDX-License-Identifier: BSD-3-Clause
"""Processes that never outlive whoever started them.

Three nets, one below the other: the kernel kills a child when its parent dies (PR_SET_PDEATHSIG);
orphans of our children become our children (PR_SET_CHILD_SUBREAPER), so that they can be found; and
a lab's processes are by definition those in its namespaces.
"""

import ctypes
import os
import select
import signal
import subprocess
import time

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


class ProcessError(Exception):
    pass


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def become_subreaper():
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def start(argv, **options):
    """A Popen that dies with this process. To be called from the main thread: the kernel takes the
    end of the thread that forked for the end of the parent."""
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen(list(map(str, argv)), preexec_fn=_die_with_parent, **options)


def started_at(pid):
    """Start time of a process in clock ticks since boot, or None. With the pid it is unique."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rsplit(")", 1)[1].split()[19])
    except (OSError, IndexError):
        return None


def is_alive(pid, start_time=None):
    """Whether a process runs; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except OSError:
        return False
    return fields[0] not in "ZX" and start_time in (None, int(fields[19]))


def children(pid):
    """Direct children, of every thread."""
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                found += map(int, file.read().split())
    except OSError:
        pass
    return found


def descendants(pid):
    found = []
    for child in children(pid):
        found += [child] + descendants(child)
    return found


def kill(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def wait_gone(pids, seconds):
    """Waits until none of them runs; returns those that still do."""
    deadline = time.monotonic() + seconds
    left = [pid for pid in pids if is_alive(pid)]
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        left = [pid for pid in left if is_alive(pid)]
    return left


def stop(processes, seconds=3.0):
    """Asks Popens to end, then insists."""
    running = [process for process in processes if process.poll() is None]
    for process in running:
        process.terminate()
    deadline = time.monotonic() + seconds
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def kill_all_below():
    """Ends every descendant of this process, adopted ones too."""
    for _ in range(100):
        below = descendants(os.getpid())
        if not below:
            return
        for pid in below:
            kill(pid)
        reap()
        time.sleep(0.01)


def reap():
    """Collects whatever ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def reap_one(pid):
    """Collects a child, if it is one and has ended."""
    try:
        if pid:
            os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass


def watch(pid):
    """A descriptor that becomes readable when the process ends, or None if it has already."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def has_ended(pidfd):
    return bool(select.select([pidfd], [], [], 0)[0])


def tail(path, lines=15):
    """The end of a log, indented, for an error message."""
    try:
        with open(path, errors="replace") as file:
            return "\n".join("    " + line.rstrip() for line in file.readlines()[-lines:])
    except OSError as error:
        return f"    ({error})"


def wait_for(what, condition, seconds, interval=0.1, log=None):
    """Polls `condition` and returns its first true value; a clear error when time is up."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            end = f"; end of {log}:\n{tail(log)}" if log else ""
            raise ProcessError(f"{what}: not within {seconds:g} s{end}")
        time.sleep(interval)
