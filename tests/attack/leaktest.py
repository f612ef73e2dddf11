# SPDX-License-Identifier: BSD-3-Clause
"""`cloister leaktest` beside a gateway with a real Tor, by every kind of link; what it did not see is looked for by the
judge of the attack tests, which finds its marks."""

import json
import subprocess

from ground import BRIDGE, PORT, Bridge, Segment, Tap, check, hostile, net, plan, scenario, wire


def leaktest(run, *arguments):
    argv = [run.binary, "leaktest", "--json", *arguments]
    done = subprocess.run(net.argv_in(run.lab.ns("host"), argv), capture_output=True, text=True, timeout=60, check=False)
    check(done.returncode in (0, 1) or arguments, f"leaktest ended with {done.returncode}: {done.stderr}")
    return done, json.loads(done.stdout) if done.stdout else {}


def check_nothing(run, *arguments):
    done, said = leaktest(run, *arguments)
    check(done.returncode == 0 and said, f"{done.returncode}: {done.stdout[-3000:]}{done.stderr}")
    print(f"{said['verdict']} uplink: {said['uplink']}, withheld {said['withheld']}")
    check(said["uplink"]["tor"] >= 10, "hardly a frame of Tor's was seen")
    check(said["probes"] - said["withheld"] >= 1900, "many probes were not sent")
    check(said["withheld"] >= 10, "an exit was asked for this host's address")
    check(not said["uplink"]["other"], "something on this host's network was nobody's")
    return said


def through(run, link, *arguments):
    # Cloister is started with what it says, and not with what the scenario says.
    run.gateway.write_config({"workstation": {"address6": "fd19:c33d:88bc::10/64"} | link.settings})
    with wire(run, link) as (host, uplink):
        before = host.counted()
        check_nothing(run, "--strict", *arguments)
        check(not uplink.marked and uplink.is_clean, f"but there was: {uplink.describe()}")
        check(host.counted()["forwarded"] == before["forwarded"], "the host's kernel forwarded something")
        check(not host.heard, f"a service of the host was reached: {host.heard[:5]}")
        left = [device for device in net.devices(run.lab.ns("host")) if device.startswith("leaktest")]
        check(not left, f"left in the host's namespace: {left}")
        if isinstance(link, Tap):
            done, _ = leaktest(run, "--via", "cloister0", "--netns", run.lab.ns("ws"), "--uplink", "lo")
            check(done.returncode == 2 and "no frame of Tor's was seen" in done.stdout,
                  f"lo was taken for the uplink: {done.returncode} {done.stdout[-300:]} {done.stderr}")
        check(run.gateway.is_running(), "Cloister did not survive it")


@scenario(started=False)
def a_gateway_stands_its_own_test(run):
    Tap.settings, Segment.settings, Bridge.settings = {}, {"attach": PORT}, {"bridge": BRIDGE}
    run.gateway.binary = hostile.disguised(run.lab, run.gateway.binary)
    done, _ = leaktest(run, "--uplink", plan.UPLINK)
    check(done.returncode == 2 and "no gateway runs here" in done.stderr, f"without a gateway: {done}")
    through(run, Segment(run))
    through(run, Bridge(run))
    through(run, Tap(run), "--via", "cloister0", "--netns", run.lab.ns("ws"))
