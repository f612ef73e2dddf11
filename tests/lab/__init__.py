# SPDX-License-Identifier: BSD-3-Clause
"""A private Tor network, its servers and a workstation, each in a network namespace of its own.

    inet --- tornet   3 authorities, 3 exits (stock tor, every relay on an address of its own)
      | \\--- web      the servers that exits connect to
      |  \\-- dns      the resolver that exits ask
      |
     host             where a gateway runs; its uplink `up0` is the only way to anywhere
      ws              the workstation: no interface at all until a test gives it one

`inet` routes between the four and is joined to nothing else, so there is no way out. Addresses are
from the ranges for benchmarks and documentation (RFC 2544, RFC 3849): they look public to Tor and
reach nobody by accident.

    lab.net       namespaces, links, running something inside
    lab.proc      processes that never outlive whoever started them
    lab.plan      who has which address, port and name
    lab.tornet    keys and configuration of the relays; when the network is usable
    lab.servers   what runs in `web`            lab.resolver  what runs in `dns`
    lab.keeper    the process that holds a lab  lab.lab       the handle on it: Lab, and the CLI
    lab.control   Tor's control protocol: which flow went over which relays
    lab.capture   what crossed the uplink
    lab.client    a stock Tor client in `host`
    lab.gateway   `cloister run` in `host` with its TAP in `ws`
"""
