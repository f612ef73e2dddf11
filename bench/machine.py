# SPDX-License-Identifier: BSD-3-Clause
"""What the figures were measured on."""

import os
import pathlib
import platform
import re
import resource
import subprocess


def _first(path, key):
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        if line.startswith(key):
            return line.split(":", 1)[1].strip()
    return "unknown"


def _version(*command):
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=10)
        return (done.stdout or done.stderr).splitlines()[0].strip()
    except (OSError, IndexError):
        return "none"


def _number(release):
    """The version alone: what follows it is the name of one build."""
    return re.match(r"[0-9.]*[0-9]|", release).group() or "unknown"


def describe():
    """Key and value, in the order in which they are to be shown. Nothing names the machine."""
    memory = int(_first("/proc/meminfo", "MemTotal").split()[0]) // 1024
    return {
        "processor": f"{_first('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores",
        "virtual": "yes" if "hypervisor" in _first("/proc/cpuinfo", "flags").split() else "no",
        "memory": f"{memory} MiB",
        "kernel": _number(platform.release()),
        "compiler": _version("cc", "--version"),
        "load when it began": " ".join(f"{value:.2f}" for value in os.getloadavg()),
        "descriptors allowed": str(resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
    }
