# SPDX-License-Identifier: BSD-3-Clause
"""The relays: keys, configuration, and when the network they form is usable.

The votes are as quick as Tor permits (every 10 s) since nobody can use the network before a consensus
lists every exit, which the first one or two do not. Bandwidths are not measured; flags are voted by decree.
"""

import os
import re
import shutil
import signal
import subprocess
import time

from lab import net, plan, proc

_AUTHORITY_TIMES = """\
V3AuthVotingInterval 10
V3AuthVoteDelay 2
V3AuthDistDelay 2
TestingV3AuthInitialVotingInterval 10
TestingV3AuthInitialVoteDelay 2
TestingV3AuthInitialDistDelay 2
"""


def find_tor():
    """The stock tor the relays run: $LAB_TOR, else the one that `./run deps` fetched, else PATH."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    for path in (os.environ.get("LAB_TOR"), f"{root}/build/stock-tor/usr/bin/tor",
                 shutil.which("tor"), "/usr/sbin/tor"):
        if path and os.access(path, os.X_OK):
            return path
    raise net.CommandError("no stock tor for the relays: run ./run deps, or set LAB_TOR=/path/to/tor")


def _gencert(tor):
    beside = os.path.join(os.path.dirname(tor), "tor-gencert")
    return beside if os.access(beside, os.X_OK) else "tor-gencert"


class Network:
    """The relays' files below one directory."""

    def __init__(self, directory, tor):
        self.directory, self.tor = directory, tor
        self.fingerprints, self.authority_lines = {}, []
        self.processes, self._hurried = {}, 0.0

    def home(self, relay):
        return os.path.join(self.directory, relay.nickname)

    def log(self, relay):
        return os.path.join(self.home(relay), "log")

    @property
    def client_lines(self):
        """What a client's torrc needs to use this network and no other."""
        return "\n".join(
            ["TestingTorNetwork 1", *self.authority_lines,
             # The far ends are in ranges a client would take for a mistake or an attack.
             "ClientRejectInternalAddresses 0", "ClientDNSRejectInternalAddresses 0",
             # All relays share one /16.
             "EnforceDistinctSubnets 0", ""])

    def configure(self, resolv_conf):
        """Makes keys and configuration of every relay. All authorities' keys come first: every
        configuration names them."""
        authorities = [relay for relay in plan.RELAYS if relay.authority]
        for relay in plan.RELAYS:
            os.makedirs(os.path.join(self.home(relay), "keys"), mode=0o700)
        jobs = [(self._gencert_start(relay), self._identity_start(relay)) for relay in authorities]
        for relay, (certificate, identity) in zip(authorities, jobs):
            _finish(certificate)
            # "Nickname ABCD 0123 ...", the last of several lines
            fingerprint = _finish(identity).strip().splitlines()[-1].split(None, 1)[1].replace(" ", "")
            with open(f"{self.home(relay)}/keys/authority_certificate") as file:
                v3ident = re.search(r"^fingerprint (\w+)", file.read(), re.M).group(1)
            self.fingerprints[fingerprint] = relay.nickname
            self.authority_lines.append(
                f"DirAuthority {relay.nickname} orport={plan.OR_PORT} no-v2 v3ident={v3ident} "
                f"{relay.address}:{plan.DIR_PORT} {fingerprint}")
        for relay in plan.RELAYS:
            with open(f"{self.home(relay)}/torrc", "w") as file:
                file.write(self._torrc(relay, resolv_conf))

    def _gencert_start(self, relay):
        process = proc.start(
            [_gencert(self.tor), "--create-identity-key", "-m", "12",
             "-a", f"{relay.address}:{plan.DIR_PORT}", "--passphrase-fd", "0"],
            cwd=f"{self.home(relay)}/keys", stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        process.stdin.write("lab\n")
        process.stdin.close()
        process.stdin = None
        return process

    def _identity_start(self, relay):
        # Without an authority of its own tor would go by the public network's.
        return proc.start(
            [self.tor, "--list-fingerprint", "--ignore-missing-torrc", "-f", "/dev/null",
             "--DataDirectory", self.home(relay), "--Nickname", relay.nickname,
             "--ORPort", f"{relay.address}:{plan.OR_PORT}", "--AddressDisableIPv6", "1",
             "--DirAuthority", "none 127.0.0.1:1 " + "0" * 40,
             "--Log", "err stdout"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def _torrc(self, relay, resolv_conf):
        lines = [
            "TestingTorNetwork 1", *self.authority_lines,
            f"Nickname {relay.nickname}",
            f"DataDirectory {self.home(relay)}",
            f"Log notice file {self.log(relay)}",
            "SafeLogging 0", "SocksPort 0", "NumCPUs 1", "ShutdownWaitLength 0",
            f"Address {relay.address}",
            f"ORPort {relay.address}:{plan.OR_PORT} IPv4Only",
            "AddressDisableIPv6 1", "AssumeReachable 1",
            # What a relay connects to sees which relay it was.
            f"OutboundBindAddress {relay.address}",
            f"OutboundBindAddress [{relay.address6}]",
        ]
        if relay.authority:
            lines += [
                "AuthoritativeDirectory 1", "V3AuthoritativeDirectory 1",
                f"DirPort {relay.address}:{plan.DIR_PORT} IPv4Only",
                "ContactInfo none", "TestingDirAuthVoteExit *", "TestingDirAuthVoteGuard *",
                "TestingDirAuthVoteHSDir *", "TestingMinExitFlagThreshold 0",
                "ExitRelay 0", _AUTHORITY_TIMES.rstrip()]
        else:
            lines += [
                "ExitRelay 1", "IPv6Exit 1", "ExitPolicyRejectPrivate 0", "ExitPolicy accept *:*",
                f"ServerDNSResolvConfFile {resolv_conf}", "ServerDNSDetectHijacking 0",
                "ServerDNSAllowBrokenConfig 1"]
        return "\n".join(lines) + "\n"

    def start(self, namespace):
        self.processes = {
            relay.nickname: proc.start(
                net.argv_in(namespace, [self.tor, "-f", f"{self.home(relay)}/torrc",
                                        "--defaults-torrc", "/dev/null"]),
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for relay in plan.RELAYS}
        return self.processes

    def is_usable(self):
        """Whether every authority lists all relays, the exits with Exit, and every exit has got a
        consensus, be it an older one: it carries circuits without knowing the newest."""
        for relay in plan.RELAYS:
            if relay.authority and not self._lists_all(self._consensus(relay)):
                return False
        late = [relay for relay in plan.RELAYS if not relay.authority and not self._consensus(relay)]
        if late:
            self._hurry(late)
            return False
        for relay in plan.RELAYS:
            with open(f"{self.home(relay)}/fingerprint") as file:
                nickname, fingerprint = file.read().split()
            self.fingerprints[fingerprint] = nickname
        return True

    def _hurry(self, relays):
        """A relay that asked too early asks ever more rarely, up to half a minute later. SIGHUP makes
        Tor forget its failures and ask now."""
        if time.monotonic() - self._hurried > 2:
            self._hurried = time.monotonic()
            for relay in relays:
                self.processes[relay.nickname].send_signal(signal.SIGHUP)

    def _consensus(self, relay):
        try:
            with open(f"{self.home(relay)}/cached-microdesc-consensus", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    @staticmethod
    def _lists_all(consensus):
        flags = dict(re.findall(r"^r (\S+) .*?^s ([^\n]*)", consensus, re.M | re.S))
        return all(
            ({"Running", "Valid", "Guard"} | ({"Exit"} if relay.exit else set()))
            <= set(flags.get(relay.nickname, "").split()) for relay in plan.RELAYS)


def _finish(process):
    out, _ = process.communicate(timeout=30)
    if process.returncode:
        raise proc.ProcessError(f"{process.args[0]} failed:\n{out}")
    return out
