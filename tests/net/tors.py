#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Several external Tors: identities are spread over them, each always to the same one. The Tors are SOCKS servers of the
tests, in network namespaces without a route out.

    tors.py CLOISTER [TEST ...]     exit status 77: cannot run here (no root, no namespaces)
"""

import pathlib
import shutil
import tempfile
import time
import unittest

import smoke
import socks_server


class Tors(unittest.TestCase):
    def start(self, extra=""):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="cloister-tors-"))
        self.addCleanup(shutil.rmtree, self.directory)
        (self.directory / "socks").mkdir()
        second = self.directory / "socks" / "second"
        self.second = socks_server.Server(str(second))
        self.gateway = smoke.Gateway(self.directory, f"socks = unix:{second}\n{extra}")
        self.addCleanup(self.gateway.close)
        self.first = self.gateway.server

    def fetch(self, count):
        for _ in range(count):
            got = self.gateway.curl(f"http://{smoke.FAR}/10")
            self.assertEqual((got.returncode, len(got.stdout)), (0, 10), got.stderr)

    def test_identities_are_spread(self):
        self.start()
        self.fetch(24)
        asked = len(self.first.requests), len(self.second.requests)
        self.assertEqual(sum(asked), 24)
        self.assertGreaterEqual(min(asked), 2)  # fewer by chance: one in 300,000
        both = {r[1] for r in self.first.requests} & {r[1] for r in self.second.requests}
        self.assertEqual(both, set())

    def test_one_identity_asks_one(self):
        self.start("[isolation]\nkey = workstation\nlifetime = 0\n[dns]\nanswers = resolve\n")
        self.fetch(12)
        self.assertEqual(sorted((len(self.first.requests), len(self.second.requests))), [0, 12])

    def test_another_socket_in_the_directory_is_refused_still(self):
        directory = pathlib.Path(tempfile.mkdtemp(prefix="cloister-tors-"))
        self.addCleanup(shutil.rmtree, directory)
        (directory / "socks").mkdir()
        for path in (directory, directory / "socks"):
            path.chmod(0o755)
        servers = [socks_server.Server(str(directory / "socks" / name)) for name in ("a", "b", "control")]
        config = directory / "cloister.conf"
        config.write_text("[tor]\nmode = external\n" + "".join(f"socks = unix:{directory}/socks/{name}\n" for name in "ab"))
        done = smoke.subprocess.run([smoke.CLOISTER, "run", "--config", str(config)], capture_output=True, text=True,
                                    timeout=20, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("/socks/control as well", done.stderr)
        del servers

    def test_one_that_is_gone_refuses_its_identities_and_no_others(self):
        self.start()
        (self.directory / "socks" / "second").unlink()
        results = [self.gateway.curl(f"http://{smoke.FAR}/10").returncode for _ in range(24)]
        self.assertEqual(len(self.first.requests), results.count(0))
        self.assertGreaterEqual(min(results.count(0), len(results) - results.count(0)), 2, results)
        time.sleep(0.1)
        self.assertIsNone(self.gateway.process.poll())


if __name__ == "__main__":
    smoke.main()
