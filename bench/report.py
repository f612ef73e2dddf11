# SPDX-License-Identifier: BSD-3-Clause
"""Tables (Markdown) and figures (SVG, by gnuplot) of what was measured."""

import pathlib
import shutil
import statistics
import subprocess

BULK = ["up 1", "down 1", "up 8", "down 8"]
OURS = "cloister"
SINGLE = "cloister-no-offload"


def median(rows, key):
    values = [row[key] for row in rows or [] if key in row]
    return statistics.median(values) if values else None


def show(value, form=".2f"):
    return "-" if value is None else format(value, form)


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def _throughput(load):
    rows = []
    for name, columns in load.items():
        if any(column in columns for column in BULK):
            row = [name] + [show(median(columns.get(column), "gbit")) for column in BULK]
            row += [show(median(columns.get(column), "cpu_per_gb")) for column in BULK]
            rows.append(row)
    return "### Bulk, Gbit/s and CPU seconds per GB\n\n" + table(
        ["", *BULK, *(f"CPU {column}" for column in BULK)], rows)


def _ratios(load, named, of=OURS):
    if of not in load or named not in load:
        return ""
    parts = []
    for column in BULK:
        ours, theirs = median(load[of].get(column), "gbit"), median(load[named].get(column), "gbit")
        if ours and theirs:
            parts.append(f"{column}: {ours / theirs:.2f}")
    return f"Throughput of {of} over that of {named}: " + ", ".join(parts) + ".\n\n" if parts else ""


def _flows(load):
    rows = []
    direct = median((load.get("direct") or {}).get("latency"), "p50_us")
    for name, columns in load.items():
        rate, latency, hold = columns.get("rate"), columns.get("latency"), columns.get("hold")
        many = [columns.get("up 512"), columns.get("down 512")]
        if not (rate or latency or hold):
            continue
        p50 = median(latency, "p50_us")
        added = None if p50 is None or direct is None or name == "direct" else p50 - direct
        rows.append([name, show(median(rate, "per_second"), ".0f"), show(median(rate, "cpu_us"), ".0f"),
                     show(p50, ".0f"), show(median(latency, "p99_us"), ".0f"), show(added, "+.0f"),
                     show(median(columns.get("rest"), "rest_kib"), ".0f"), show(median(hold, "fresh_kib")),
                     show(median(hold, "used_kib")), show(median(hold, "left_kib"), ".0f"),
                     show(median(hold, "idle_percent")), *(show(median(one, "slowest")) for one in many),
                     *(show(median(one, "gbit")) for one in many)])
    return "### Flows\n\n" + table(
        ["", "new/s", "CPU us each", "first byte p50 us", "p99 us", "p50 added us", "packet process KiB at rest",
         "KiB per idle flow", "after 256 KiB", "KiB left after all closed", "% CPU with 2000 idle",
         "slowest of 512 up / mean", "down", "512 up Gbit/s", "down"], rows)


def held_steps(load):
    """Numbers of flows at which costs were measured."""
    keys = {int(key.split()[1]) for columns in load.values() for row in columns.get("hold") or [] for key in row
            if key.startswith("ping_us ")}
    return sorted(keys)


def _held(load):
    steps = held_steps(load)
    rows = []
    for name, columns in load.items():
        hold = columns.get("hold")
        if hold:
            few = median(hold, f"ping_us {steps[0]}")
            pings = [median(hold, f"ping_us {n}") for n in steps]
            rows.append([name, show(median(hold, "held"), ".0f"), *(show(one, ".1f") for one in pings),
                         *(show(None if one is None or not few else one / few) for one in pings[1:]),
                         *(show(median(hold, f"gb_s {n}")) for n in steps)])
    if not rows:
        return ""
    return ("### Cost with many flows held\n\nCPU us of one byte there and back, on one flow after another, as ratio to "
            f"that with {steps[0]} flows, and CPU seconds per GB of a download beside them.\n\n" + table(
                ["", "held", *(f"us, {n}" for n in steps), *(f"ratio, {n}" for n in steps[1:]),
                 *(f"s/GB, {n}" for n in steps)], rows))


def _replay(replay):
    rows = []
    for run in replay:
        rows.append([run["capture"], run["stack"], show(run["copies"], ".0f"), show(run["packets"], ".0f"),
                     show(run["packets_per_second"] / 1e6), show(run["ns_per_packet"], ".0f"),
                     show(run.get("p50_ns"), ".0f"), show(run.get("p99_ns"), ".0f"), show(run.get("p999_ns"), ".0f"),
                     *(show(run.get(f"handshake_{one}_ns"), ".0f") for one in ("p50", "p99", "p999")),
                     show(run.get("instructions_per_packet"), ".0f"), show(run.get("memory_kib"), ".0f"),
                     run.get("digest", "-")])
    return "### Replay in one process\n\n" + table(
        ["capture", "stack", "flows at once", "packets", "M packets/s", "ns each", "p50", "p99", "p99.9",
         "handshake p50 ns", "p99", "p99.9", "instructions each", "KiB", "digest"], rows) + _over_peer(replay)


def _over_peer(replay):
    """Our rate over the peer's, capture by capture: the same job in the same run."""
    rates = {(run["capture"], run["copies"], run["stack"]): run["bytes_per_second"] for run in replay}
    parts = [f"{capture} x {copies:.0f}: {rate / rates[capture, copies, 'lwip']:.1f}"
             for (capture, copies, stack), rate in rates.items()
             if stack == OURS and (capture, copies, "lwip") in rates]
    return f"\nThroughput of {OURS} over that of lwIP: " + ", ".join(parts) + ".\n" if parts else ""


def _devices(rows):
    shown = [[row["capture"], row["how"], row["stack"], show(row["flows"], ".0f"),
              show(row["packets_per_second"], ".0f"), show(row["bytes_per_second"] / 1e6, ".1f"),
              *(show(row[f"{one}_ns"] / 1e3, ".0f") for one in ("p50", "p99", "p999")),
              *(show(row[f"handshake_{one}_ns"] / 1e3, ".0f") for one in ("p50", "p99", "p999")),
              show(row["cpu_ms"], ".1f"), show(row["memory_kib"], ".0f"), show(row["repeated"], ".0f"),
              show(row["resets"], ".0f")] for row in rows]
    return ("### Replay through a device\n\nThe time of a packet is from one end to the other, through the gateway.\n\n"
            + table(["capture", "", "gateway", "flows", "packets/s", "MB/s", "packet p50 us", "p99", "p99.9",
                     "handshake p50 us", "p99", "p99.9", "CPU ms in all", "KiB at most", "repeated", "resets at the end"],
                    shown))


def _tor(tor):
    best = median(tor.get("socks"), "mbit")
    rows = [[name, show(median(runs, "mbit"), ".0f"), show(median(runs, "mbit") / best if best else None),
             show(median(runs, "first_ms"), ".1f"), show(median(runs, "first_p90_ms"), ".1f")]
            for name, runs in tor.items()]
    return "### Through a private Tor network\n\nbench/tor/compare.py says what the ways are.\n\n" + table(
        ["", "Mbit/s", "over socks", "first byte p50 ms", "p90"], rows)

def _instructions(counts):
    return "### Instructions per packet (callgrind)\n\n" + table(
        ["", "instructions"], [[name, show(value, ".0f")] for name, value in counts.items()])


class Aims:
    """What was aimed at, what was measured, and whether that is met. Of what was not measured nothing is said."""

    def __init__(self):
        self.rows = []

    def add(self, what, value, aim, met, form=".2f"):
        if value is not None:
            self.rows.append([what, aim, show(value, form), "yes" if met(value) else "no"])

    def at_least(self, what, value, limit, form=".2f"):
        self.add(what, value, f"at least {limit}", lambda v: v >= limit, form)

    def at_most(self, what, value, limit, form=".2f"):
        self.add(what, value, f"at most {limit}", lambda v: v <= limit, form)


def quotient(a, b):
    return None if a is None or not b else a / b


def _aims_of_load(aims, load):
    ours, hev, bare, direct = (load.get(name) or {} for name in (OURS, "hev", "copier-tso", "direct"))
    for column in BULK:
        gbit = median(ours.get(column), "gbit")
        aims.at_least(f"{column}, over hev", quotient(gbit, median(hev.get(column), "gbit")), 4)
        aims.at_least(f"{column}, over the bare copier", quotient(gbit, median(bare.get(column), "gbit")), 0.7)
        aims.at_most(f"{column}, CPU per GB over hev's",
                     quotient(median(ours.get(column), "cpu_per_gb"), median(hev.get(column), "cpu_per_gb")), 0.25)
        slow = median((load.get(SINGLE) or {}).get(column), "gbit")
        aims.at_least(f"{column} without offload, over hev", quotient(slow, median(hev.get(column), "gbit")), 1.3)
        aims.at_most(f"{column} without offload, CPU per GB over hev's", quotient(
            median((load.get(SINGLE) or {}).get(column), "cpu_per_gb"), median(hev.get(column), "cpu_per_gb")), 0.77)
    rate, hold = ours.get("rate"), ours.get("hold")
    aims.at_least("new flows a second, over hev", quotient(median(rate, "per_second"), median(
        hev.get("rate"), "per_second")), 1.5)
    aims.at_most("CPU of a new flow, us", median(rate, "cpu_us"), 80, ".0f")
    for key, limit in (("p50_us", 300), ("p99_us", 1000)):
        mine, without = median(ours.get("latency"), key), median(direct.get("latency"), key)
        if mine is not None and without is not None:
            aims.at_most(f"added latency of a flow, {key.removesuffix('_us')}, us", mine - without, limit, ".0f")
    for key, what in (("fresh_kib", "KiB per idle flow"), ("used_kib", "the same after 256 KiB")):
        aims.at_most(what, median(hold, key), 2)
    aims.at_least("flows held at once", median(hold, "held"), 50000, ".0f")
    aims.at_most("KiB left after all closed", median(hold, "left_kib"), 1024, ".0f")
    aims.at_most("packet process at rest, KiB", median(ours.get("rest"), "rest_kib"), 3072, ".0f")
    steps = held_steps({OURS: ours})
    if steps:
        aims.at_most(f"CPU of a small exchange with {steps[-1]} flows over that with {steps[0]}", quotient(
            median(hold, f"ping_us {steps[-1]}"), median(hold, f"ping_us {steps[0]}")), 1.3)
        aims.at_most(f"CPU per GB beside {steps[-1]} flows over that beside {steps[0]}", quotient(
            median(hold, f"gb_s {steps[-1]}"), median(hold, f"gb_s {steps[0]}")), 1.3)
    aims.at_most("% CPU with 2000 idle flows", median(hold, "idle_percent"), 0.2)
    for direction in ("up", "down"):
        for what, of in (("", ours), (" without offload", load.get(SINGLE) or {})):
            aims.at_least(f"slowest of 512 {direction}{what} over the mean",
                          median(of.get(f"{direction} 512"), "slowest"), 0.25)


def _aims_of_tor(aims, tor):
    mbit = {name: median(runs, "mbit") for name, runs in tor.items()}
    first = {name: median(runs, "first_ms") for name, runs in tor.items()}
    for name in ("workstation", "source-port", "optimistic", "workstation-optimistic"):
        aims.at_least(f"through Tor, {name}: Mbit/s over SOCKS directly", quotient(mbit.get(name), mbit.get("socks")), 0.98)
    for name, other in (("workstation", "transport"), ("source-port", "socks"), ("optimistic", "socks"),
                        ("workstation-optimistic", "transport")):
        aims.at_most(f"through Tor, {name}: first byte over {other}'s", quotient(first.get(name), first.get(other)), 1)


def _aims_of_replay(aims, replay):
    rates = {(run["capture"], run["copies"], run["stack"]): run["bytes_per_second"] for run in replay}
    over = [quotient(rate, rates.get((capture, copies, "lwip")))
            for (capture, copies, stack), rate in rates.items() if stack == OURS]
    over = [one for one in over if one is not None]
    if over:
        aims.at_least("replay, least of the captures, over lwIP", min(over), 2)


def _aims(results):
    aims = Aims()
    _aims_of_load(aims, results.get("load") or {})
    _aims_of_tor(aims, results.get("tor") or {})
    _aims_of_replay(aims, results.get("replay") or [])
    for name, count in (results.get("instructions") or {}).items():
        for start, limit in (("pure ACK, engine", 300), ("segment of 1448 bytes, engine", 600)):
            if name.startswith(start):
                aims.at_most(f"instructions: {name}", count, limit, ".0f")
    return "### Aims\n\n" + table(["", "aim", "measured", "met"], aims.rows) if aims.rows else ""


def markdown(machine, results):
    parts = ["# Benchmarks\n\nMedians; each round measures every gateway, one after the other. "
             "Repeat with `sudo ./run bench`.\n"]
    parts.append(table(["machine", ""], [[key, value] for key, value in machine.items()]))
    parts.append(_aims(results))
    load = results.get("load")
    if load:
        parts.append(_throughput(load))
        parts += [_ratios(load, name) for name in load if name not in (OURS, "direct")]
        parts.append(_ratios(load, "hev", SINGLE))
        parts += [_flows(load), _held(load)]
    if results.get("tor"):
        parts.append(_tor(results["tor"]))
    if results.get("replay"):
        parts.append(_replay(results["replay"]))
    if results.get("devices"):
        parts.append(_devices(results["devices"]))
    if results.get("instructions"):
        parts.append(_instructions(results["instructions"]))
    if results.get("failed"):
        parts.append("### What could not be measured\n\n" + "\n".join(f"- {line}" for line in results["failed"]) + "\n")
    return "\n".join(parts)


def _bars(path, title, unit, columns, rows, least=None):
    """A cluster of bars for each column, one bar per row; on a logarithmic scale that begins at `least`, if that is given."""
    data = "\n".join('"' + column + '" ' + " ".join(show(values[i], ".4f").replace("-", "NaN", 1)
                                                     if values[i] is None else show(values[i], ".4f")
                                                     for values in rows.values())
                     for i, column in enumerate(columns))
    plots = ", ".join(f"$data using {i + 2}{':xtic(1)' if i == 0 else ''} title '{name}'"
                      for i, name in enumerate(rows))
    script = (f"set terminal svg size 900,420 font 'sans,13' background '#ffffff'\nset output '{path}'\n"
              f"set title '{title}'\nset ylabel '{unit}'\nset yrange [{least or 0}:*]\n"
              f"{'set logscale y' if least else ''}\nset grid y\nset key outside right\n"
              "set style data histograms\nset style fill solid 0.8 border -1\nset boxwidth 0.9\n"
              f"$data << EOD\n{data}\nEOD\nplot {plots}\n")
    subprocess.run(["gnuplot"], input=script, text=True, check=True, timeout=60)


def figures(directory, results):
    """The SVGs; returns their names. None without gnuplot."""
    made = []
    load = {name: columns for name, columns in (results.get("load") or {}).items() if name != "direct"}
    if not load or not shutil.which("gnuplot"):
        return made

    def draw(name, title, unit, columns, pick, least=None):
        rows = {gateway: [pick(of, column) for column in columns] for gateway, of in load.items()}
        rows = {gateway: values for gateway, values in rows.items() if any(value is not None for value in values)}
        if rows:
            _bars(pathlib.Path(directory) / name, title, unit, columns, rows, least)
            made.append(name)

    draw("throughput.svg", "Bulk, flows at once", "Gbit/s", BULK, lambda of, column: median(of.get(column), "gbit"))
    draw("cpu.svg", "CPU time of the gateway", "seconds per GB", BULK,
         lambda of, column: median(of.get(column), "cpu_per_gb"))
    keys = {"fresh": "fresh_kib", "after 256 KiB": "used_kib"}
    draw("memory.svg", "Resident memory per idle flow", "KiB", list(keys),
         lambda of, column: None if not of.get("hold") else max(0, median(of["hold"], keys[column])),
         least=0.1)
    keys = {f"{n} flows": f"ping_us {n}" for n in held_steps(load)}
    draw("many.svg", "CPU time of one byte there and back", "us", list(keys),
         lambda of, column: median(of.get("hold"), keys[column]), least=1)
    return made
