# SPDX-License-Identifier: BSD-3-Clause
"""Tables (Markdown) and figures (SVG, by gnuplot) of what was measured."""

import pathlib
import shutil
import statistics
import subprocess

BULK = ["up 1", "down 1", "up 8", "down 8"]
OURS = "cloister"


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


def _ratios(load, named):
    if OURS not in load or named not in load:
        return ""
    parts = []
    for column in BULK:
        ours, theirs = median(load[OURS].get(column), "gbit"), median(load[named].get(column), "gbit")
        if ours and theirs:
            parts.append(f"{column}: {ours / theirs:.2f}")
    return f"Throughput of {OURS} over that of {named}: " + ", ".join(parts) + ".\n\n" if parts else ""


def _flows(load):
    rows = []
    for name, columns in load.items():
        rate, latency, hold = columns.get("rate"), columns.get("latency"), columns.get("hold")
        many = [columns.get("up 512"), columns.get("down 512")]
        if not (rate or latency or hold):
            continue
        rows.append([name, show(median(rate, "per_second"), ".0f"), show(median(rate, "cpu_us"), ".0f"),
                     show(median(latency, "p50_us"), ".0f"), show(median(latency, "p99_us"), ".0f"),
                     show(median(hold, "start_kib"), ".0f"), show(median(hold, "fresh_kib")),
                     show(median(hold, "used_kib")), show(median(hold, "left_kib"), ".0f"),
                     show(median(hold, "idle_percent")), show(median(hold, "few_us"), ".1f"),
                     show(median(hold, "many_us"), ".1f"), *(show(median(one, "slowest")) for one in many),
                     *(show(median(one, "gbit")) for one in many)])
    return "### Flows\n\n" + table(
        ["", "new/s", "CPU us each", "first byte p50 us", "p99 us", "KiB at rest", "KiB per idle flow", "after 256 KiB",
         "KiB left after all closed", "% CPU idle", "CPU us per ping, 10 flows", "with all flows",
         "slowest of 512 up / mean", "down", "512 up Gbit/s", "down"], rows)


def _replay(replay):
    rows = []
    for run in replay:
        rows.append([run["capture"], run["stack"], show(run["copies"], ".0f"), show(run["packets"], ".0f"),
                     show(run["packets_per_second"] / 1e6), show(run["ns_per_packet"], ".0f"),
                     show(run.get("p50_ns"), ".0f"), show(run.get("p99_ns"), ".0f"), show(run.get("p999_ns"), ".0f"),
                     show(run.get("handshake_p50_ns"), ".0f"), show(run.get("memory_kib"), ".0f"),
                     run.get("digest", "-")])
    return "### Replay in one process\n\n" + table(
        ["capture", "stack", "flows at once", "packets", "M packets/s", "ns each", "p50", "p99", "p99.9",
         "handshake p50 ns", "KiB", "digest"], rows)


def _instructions(counts):
    return "### Instructions per packet (callgrind)\n\n" + table(
        ["", "instructions"], [[name, show(value, ".0f")] for name, value in counts.items()])


def markdown(machine, results):
    parts = ["# Benchmarks\n\nMedians; each round measures every gateway, one after the other. "
             "Repeat with `sudo ./run bench`.\n"]
    parts.append(table(["machine", ""], [[key, value] for key, value in machine.items()]))
    load = results.get("load")
    if load:
        parts.append(_throughput(load))
        parts += [_ratios(load, name) for name in load if name not in (OURS, "direct")]
        parts.append(_flows(load))
    if results.get("replay"):
        parts.append(_replay(results["replay"]))
    if results.get("instructions"):
        parts.append(_instructions(results["instructions"]))
    if results.get("failed"):
        parts.append("### What could not be measured\n\n" + "\n".join(f"- {line}" for line in results["failed"]) + "\n")
    return "\n".join(parts)


def _bars(path, title, unit, columns, rows):
    """A cluster of bars for each column, one bar per row."""
    data = "\n".join('"' + column + '" ' + " ".join(show(values[i], ".4f").replace("-", "NaN", 1)
                                                     if values[i] is None else show(values[i], ".4f")
                                                     for values in rows.values())
                     for i, column in enumerate(columns))
    plots = ", ".join(f"$data using {i + 2}{':xtic(1)' if i == 0 else ''} title '{name}'"
                      for i, name in enumerate(rows))
    script = (f"set terminal svg size 900,420 font 'sans,13' background '#ffffff'\nset output '{path}'\n"
              f"set title '{title}'\nset ylabel '{unit}'\nset yrange [0:*]\nset grid y\nset key outside right\n"
              "set style data histograms\nset style fill solid 0.8 border -1\nset boxwidth 0.9\n"
              f"$data << EOD\n{data}\nEOD\nplot {plots}\n")
    subprocess.run(["gnuplot"], input=script, text=True, check=True, timeout=60)


def figures(directory, results):
    """The SVGs; returns their names. None without gnuplot."""
    made = []
    load = {name: columns for name, columns in (results.get("load") or {}).items() if name != "direct"}
    if not load or not shutil.which("gnuplot"):
        return made

    def draw(name, title, unit, columns, pick):
        rows = {gateway: [pick(of, column) for column in columns] for gateway, of in load.items()}
        rows = {gateway: values for gateway, values in rows.items() if any(value is not None for value in values)}
        if rows:
            _bars(pathlib.Path(directory) / name, title, unit, columns, rows)
            made.append(name)

    draw("throughput.svg", "Bulk, flows at once", "Gbit/s", BULK, lambda of, column: median(of.get(column), "gbit"))
    draw("cpu.svg", "CPU time of the gateway", "seconds per GB", BULK,
         lambda of, column: median(of.get(column), "cpu_per_gb"))
    keys = {"fresh": "fresh_kib", "after 256 KiB": "used_kib"}
    draw("memory.svg", "Resident memory per idle flow", "KiB", list(keys),
         lambda of, column: None if not of.get("hold") else max(0, median(of["hold"], keys[column])))
    keys = {"10 flows": "few_us", "many flows": "many_us"}
    draw("many.svg", "CPU time of one byte there and back", "us", list(keys),
         lambda of, column: median(of.get("hold"), keys[column]))
    return made
