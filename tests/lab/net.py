# SPDX-License-Identifier: BSD-3-Clause
"""Network namespaces by name: make, join, run something inside, take away."""

import ctypes
import os
import re
import subprocess
import threading

from lab import plan, proc

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_RUN = "/run/netns"
PREFIX = "clq"  # then the keeper's pid: clq1234-ws


class CommandError(Exception):
    pass


def ip(*args):
    """Runs `ip`; its complaint becomes the exception."""
    done = subprocess.run(["ip", *map(str, args)], capture_output=True, text=True)
    if done.returncode:
        raise CommandError(f"ip {' '.join(map(str, args))}: {done.stderr.strip()}")
    return done.stdout


def argv_in(namespace, argv):
    """The command that runs `argv` in `namespace`. It execs, so its pid is that of `argv`."""
    return ["ip", "netns", "exec", namespace, *map(str, argv)]


def call_in(namespace, function, *args):
    """Calls `function` in `namespace`. Sockets it opens stay there; the caller stays where it is.

    A thread of its own is moved, because setns(2) moves only the calling thread.
    """
    result = []

    def body():
        try:
            fd = os.open(f"{_RUN}/{namespace}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                if _libc.setns(fd, _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), f"setns {namespace}")
            finally:
                os.close(fd)
            result.append((function(*args), None))
        except BaseException as error:  # handed to the caller
            result.append((None, error))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    value, error = result[0]
    if error:
        raise error
    return value


def sysctl_in(namespace, **settings):
    """Sets net.* settings of a namespace; a double underscore stands for a dot."""

    def body():
        for name, value in settings.items():
            with open(f"/proc/sys/net/{name.replace('__', '/')}", "w") as file:
                file.write(str(value))

    call_in(namespace, body)


def build(prefix):
    """Makes all namespaces of the plan and joins them. Returns {short name: full name}."""
    names = {short: f"{prefix}-{short}" for short in plan.NAMESPACES}
    for name in names.values():
        ip("netns", "add", name)
        ip("-n", name, "link", "set", "lo", "up")
    inet = names["inet"]
    sysctl_in(inet, ipv4__ip_forward=1, ipv6__conf__all__forwarding=1)
    ip("-n", inet, "route", "add", "blackhole", f"{plan.BLACKHOLE}/32")
    for link in plan.LINKS:
        _join(inet, names[link.namespace], link)
    return names


def _join(inet, namespace, link):
    router = link.namespace
    ip("link", "add", link.device, "netns", namespace, "type", "veth",
       "peer", "name", router, "netns", inet)
    for end, device, addresses in (
        (inet, router, (link.router, link.router6)),
        (namespace, link.device, link.addresses + link.addresses6),
    ):
        for address in filter(None, addresses):
            # nodad: an address that is still tentative cannot be bound to.
            ip("-n", end, "addr", "add", address, "dev", device, *(["nodad"] if ":" in address else []))
        ip("-n", end, "link", "set", device, "up")
    ip("-n", namespace, "route", "add", "default", "via", link.router.split("/")[0])
    if link.router6:
        ip("-n", namespace, "-6", "route", "add", "default", "via", link.router6.split("/")[0])


def link_address(namespace, device):
    """MAC address of a device."""
    text = ip("-n", namespace, "-o", "link", "show", "dev", device)
    return re.search(r"link/ether ([0-9a-f:]+)", text).group(1)


def devices(namespace):
    text = ip("-n", namespace, "-o", "link", "show")
    return re.findall(r"^\d+: ([^:@]+)", text, re.M)


def pids(namespace):
    """Processes whose network namespace this is."""
    if not os.path.exists(f"{_RUN}/{namespace}"):
        return []
    return [int(pid) for pid in ip("netns", "pids", namespace).split()]


def remove(prefix):
    """Takes away every namespace of a lab, and what was put into /etc/netns for it."""
    for short in plan.NAMESPACES:
        name = f"{prefix}-{short}"
        resolv_conf_remove(name)
        if os.path.exists(f"{_RUN}/{name}"):
            ip("netns", "del", name)


def stale_prefixes():
    """Prefixes of labs whose keeper is gone, as after a SIGKILL."""
    found = set()
    for entry in os.listdir(_RUN) if os.path.isdir(_RUN) else ():
        match = re.fullmatch(rf"({PREFIX}(\d+))-\w+", entry)
        if match and not proc.is_alive(int(match.group(2))):
            found.add(match.group(1))
    return found


def resolv_conf_set(namespace, server):
    """What `ip netns exec` shows as /etc/resolv.conf inside."""
    os.makedirs(f"/etc/netns/{namespace}", exist_ok=True)
    with open(f"/etc/netns/{namespace}/resolv.conf", "w") as file:
        file.write(f"nameserver {server}\noptions timeout:10 attempts:2\n")


def resolv_conf_remove(namespace):
    try:
        os.unlink(f"/etc/netns/{namespace}/resolv.conf")
        os.rmdir(f"/etc/netns/{namespace}")
        os.rmdir("/etc/netns")  # only if it is empty, that is, if it was ours
    except OSError:
        pass
