# SPDX-License-Identifier: BSD-3-Clause
"""A bad configuration is refused with file, line and key before anything is touched."""

import re

from scenario import check, scenario
from lab import net

# (the configuration, the line that is wrong, what must be named)
CASES = (
    ("[workstation]\ncolour = red\n", 2, "colour"),
    ("[workstation]\n\n[wrkstation]\ndevice = x\n", 3, "wrkstation"),
    ("[workstation]\naddress = 10.152.152.10/33\n", 2, "address"),
    ("[workstation]\naddress = ten\n", 2, "address"),
    ("[workstation]\nmtu = 12\n", 2, "mtu"),
    ("[workstation]\nmtu = 1500 bytes\n", 2, "mtu"),
    ("[workstation]\nmac = 01:00:5e:00:00:01\n", 2, "mac"),
    ("[workstation]\ndevice = a-name-that-is-too-long\n", 2, "device"),
    ("[tor]\nmode = internal\n", 2, "mode"),
    ("[tor]\nmode = external\nsocks = 127.0.0.1\n", 3, "socks"),
    ("[isolation]\nkey = none-at-all\n", 2, "key"),
    ("[tcp]\naccept = maybe\n", 2, "accept"),
    ("[tcp]\nhalf_close_timeout = -1\n", 2, "half_close_timeout"),
    ("[log]\nlevel = loud\n", 2, "level"),
    ("[log]\nidentities = perhaps\n", 2, "identities"),
    ("[workstation]\ndevice\n", 2, ""),
)


@scenario(started=False)
def a_bad_configuration_is_refused_by_file_line_and_key(run):
    path = f"{run.gateway.home}/bad.conf"
    for text, line, key in CASES:
        with open(path, "w") as file:
            file.write(text)
        for command in ("check", "run"):
            done = run.lab.run("host", [run.binary, command, "--config", path], timeout=10)
            said = done.stderr
            check(done.returncode not in (0, 77) and done.returncode > 0,
                  f"{command} took {text!r}: {done.returncode}")
            check(path in said and re.search(rf"\b{line}\b", said.replace(path, "")) and key in said,
                  f"{text!r}: file, line {line} and key {key!r} should be named: {said!r}")
    done = run.lab.run("host", [run.binary, "check", "--config", path + ".not-there"], timeout=10)
    check(done.returncode != 0 and "not-there" in done.stderr, f"a missing file: {done.stderr!r}")
    check("cloister0" not in net.devices(run.lab.ns("host")), "a TAP was made")
    done = run.lab.run("host", [run.binary, "check", "--config", run.gateway.config], timeout=10)
    check(done.returncode == 0, f"the good one: {done.stderr!r}")
    check("cloister0" not in net.devices(run.lab.ns("host")), "check made a TAP")
