# SPDX-License-Identifier: BSD-3-Clause
"""An onion service of the private network, in `web`: a stock Tor in front of that namespace's web server."""

import os
import re
import shutil
import subprocess

from lab import net, plan, proc


class Onion:
    """Starts it and waits until its descriptor is where clients look for it. Its name is `address`."""

    def __init__(self, lab, name="onion"):
        self.lab, self.home = lab, f"{lab.state}/{name}"
        self.log, self.address, self.process = f"{self.home}/log", "", None
        shutil.rmtree(self.home, ignore_errors=True)
        os.makedirs(f"{self.home}/data", mode=0o700)
        os.mkdir(f"{self.home}/service", mode=0o700)
        with open(lab.client_torrc) as file:
            lines = file.read()
        with open(f"{self.home}/torrc", "w") as file:
            file.write(lines + "\n".join([
                f"DataDirectory {self.home}/data",
                f"Log notice file {self.log}", f"Log [rend]info file {self.log}", "SafeLogging 0", "SocksPort 0",
                f"HiddenServiceDir {self.home}/service",
                f"HiddenServicePort 80 {plan.WEB}:{plan.HTTP}", ""]))

    def __enter__(self):
        self.process = proc.start(
            net.argv_in(self.lab.ns("web"), [self.lab.tor, "-f", f"{self.home}/torrc",
                                             "--defaults-torrc", "/dev/null"]),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            proc.wait_for("the onion service's descriptors", self._is_up, 90, 0.2, self.log)
        except BaseException:
            self.stop()
            raise
        with open(f"{self.home}/service/hostname") as file:
            self.address = file.read().strip()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process:
            proc.stop([self.process])

    def _is_up(self):
        """Both descriptors, of this period and the next, are on every relay that keeps them."""
        if self.process.poll() is not None:
            raise proc.ProcessError(f"the onion service ended; end of its log:\n{proc.tail(self.log)}")
        try:
            with open(self.log, errors="replace") as file:
                return len(re.findall(r"Uploaded hidden service descriptor \(status 200", file.read())) >= 2
        except OSError:
            return False
