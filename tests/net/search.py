#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Workstations with a search list, by the resolvers of several C libraries and languages. Each asks in an order of its
own, and stops at the first name that exists; where answers are virtual, that is every name that may be one.

    search.py CLOISTER [TEST ...]     exit status 77: cannot run here (no root, no namespaces)
"""

import ipaddress
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import link
import smoke
import socks_server

VIRTUAL = ipaddress.ip_network("10.192.0.0/10")
DOMAIN = "corp.example.com"  # the Internet's, and listed as one to be resolved
KNOWN = "198.51.100.7"

MUSL = """
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
int main(int argc, char **argv)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    char text[INET_ADDRSTRLEN];
    if (argc != 2 || getaddrinfo(argv[1], NULL, &hints, &found) != 0)
        return 2;
    puts(inet_ntop(AF_INET, &((struct sockaddr_in *)found->ai_addr)->sin_addr, text, sizeof(text)));
    return 0;
}
"""

GO = """package main

import ("fmt"; "net"; "os")

func main() {
    if found, err := net.LookupHost(os.Args[1]); err == nil {
        fmt.Println(found[0])
    }
}
"""


class Search(unittest.TestCase):
    """A private domain and one of the Internet are searched."""

    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="cloister-search-"))
        cls.gateway = smoke.Gateway(cls.directory, f"[dns]\nresolve = {DOMAIN}\n")
        cls.gateway.server.names = {f"wiki.{DOMAIN}": KNOWN}
        cls.etc = pathlib.Path("/etc/netns") / cls.gateway.namespace
        cls.etc.mkdir(parents=True)
        cls.programs = {"getent": ["getent", "ahostsv4"],
                        "python": ["python3", "-c", "import socket, sys; print(socket.gethostbyname(sys.argv[1]))"]}
        cls.build()

    @classmethod
    def build(cls):
        """Programs that use other resolvers than glibc's, if there are compilers for them."""
        if shutil.which("musl-gcc"):
            (cls.directory / "musl.c").write_text(MUSL, encoding="ascii")
            smoke.run("musl-gcc", "-static", "-o", str(cls.directory / "musl"), str(cls.directory / "musl.c"))
            cls.programs["musl"] = [str(cls.directory / "musl")]
        if shutil.which("go"):
            (cls.directory / "find.go").write_text(GO, encoding="ascii")
            subprocess.run(["go", "build", "-o", str(cls.directory / "find"), str(cls.directory / "find.go")], check=True,
                           env=os.environ | {"CGO_ENABLED": "0", "GOCACHE": str(cls.directory / "cache"),
                                             "GO111MODULE": "off", "GOFLAGS": "-p=1"})
            cls.programs["go"] = [str(cls.directory / "find")]

    @classmethod
    def tearDownClass(cls):
        cls.gateway.close()
        shutil.rmtree(cls.directory)
        shutil.rmtree(cls.etc)

    def find(self, program, name):
        """The first address; None if there is none."""
        done = subprocess.run(["ip", "netns", "exec", self.gateway.namespace, *self.programs[program], name],
                              capture_output=True, text=True, timeout=30, check=False)
        words = done.stdout.split()
        return ipaddress.ip_address(words[0]) if words else None

    def cases(self, *domains):
        """Every program, with few and many dots that make a name be tried first."""
        for dots in (1, 2, 5):
            (self.etc / "resolv.conf").write_text(
                f"search {' '.join(domains)}\nnameserver {smoke.GATEWAY}\noptions ndots:{dots} timeout:2\n",
                encoding="ascii")
            for program in self.programs:
                yield program, f"{program} with ndots:{dots}"

    def assert_virtual(self, program, name, how):
        found = self.find(program, name)
        self.assertTrue(found is not None and found in VIRTUAL, f"{name} by {how}: {found}")

    def test_a_name_is_found_beside_private_domains(self):
        for program, how in self.cases("example.lan", "localdomain", "home.arpa"):
            for name in ("www.example.org", "example.org", "www.example.org."):
                self.assert_virtual(program, name, how)
            self.assertIsNone(self.find(program, "nothere"), how)

    def test_a_name_is_found_beside_a_domain_that_is_resolved(self):
        for program, how in self.cases("example.lan", DOMAIN):
            for name in ("www.example.org", "example.org"):
                self.assert_virtual(program, name, how)
            for name in ("wiki", f"wiki.{DOMAIN}"):
                self.assertEqual(self.find(program, name), ipaddress.ip_address(KNOWN), f"{name} by {how}")
            self.assertIsNone(self.find(program, "nothere"), how)

    def test_without_that_a_name_is_found_once_tor_has_not_found_the_first(self):
        """What a domain of the Internet that is not listed costs: one failure a minute for each name."""
        (self.etc / "resolv.conf").write_text(f"search example.net\nnameserver {smoke.GATEWAY}\noptions ndots:5\n",
                                              encoding="ascii")
        # The SOCKS server says of everything at port 113 that it is not there.
        smoke.run("ip", "netns", "exec", self.gateway.namespace, "sh", "-c",
                  "! curl -sS -m 5 http://www.example.org:113/ 2>/dev/null")
        self.assertEqual(self.gateway.server.requests[-1][2], "www.example.org.example.net")
        got = self.gateway.curl("http://www.example.org/10")
        self.assertEqual(got.stdout, socks_server.body(10), got.stderr)
        self.assertEqual(self.gateway.server.requests[-1][2], "www.example.org")


if __name__ == "__main__":
    link.main()
