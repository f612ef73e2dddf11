#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Line and branch coverage of a folder's sources, as the tests that ran in a build with CLOISTER_COVERAGE left it.

    coverage.py BUILD [FOLDER] [--missing]    FOLDER: core/tcp; --missing: also the lines and branches never taken

Branches of what must never happen (assert) do not count: no test can take them.
"""

import collections
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent


def read_gcov(build, folder):
    """{source: {line: [count, [branch counts]]}}, summed over all objects of the folder."""
    sources = collections.defaultdict(dict)
    objects = sorted((build / folder).rglob("*.gcno"))
    with tempfile.TemporaryDirectory() as scratch:
        for number, item in enumerate(objects):
            where = pathlib.Path(scratch) / str(number)
            where.mkdir()
            subprocess.run(["gcov", "--json-format", "--branch-probabilities", str(item.resolve())], cwd=where,
                           check=True, capture_output=True)
            for report in where.glob("*.gcov.json.gz"):
                with gzip.open(report, "rt", encoding="utf-8") as file:
                    take_report(json.load(file), folder, sources)
    return sources


def take_report(report, folder, sources):
    for entry in report["files"]:
        path = (pathlib.Path(report["current_working_directory"]) / entry["file"]).resolve()
        if not path.is_relative_to(ROOT / folder):
            continue
        text = path.read_text(encoding="utf-8").splitlines()
        lines = sources[str(path.relative_to(ROOT))]
        for line in entry["lines"]:
            number = line["line_number"]
            if text[number - 1].lstrip().startswith(("assert(", "static_assert(")):
                continue
            known = lines.setdefault(number, [0, []])
            known[0] += line["count"]
            counts = [branch["count"] for branch in line["branches"] if not branch["throw"]]
            if len(counts) == len(known[1]):
                known[1] = [a + b for a, b in zip(known[1], counts)]
            elif sum(counts) > sum(known[1]) or not known[1]:
                known[1] = counts


def share(part, whole):
    return 100.0 * part / whole if whole else 100.0


def main():
    arguments = [word for word in sys.argv[1:] if not word.startswith("--")]
    build, folder = pathlib.Path(arguments[0]), (arguments + ["core/tcp"])[1]
    sources = read_gcov(build, folder)
    if not sources:
        print(f"no coverage of {folder} in {build}: build it with CLOISTER_COVERAGE=ON and run its tests")
        return 1
    total = [0, 0, 0, 0]
    print(f"{'file':28} {'lines':>13} {'branches':>15}")
    for name, lines in sorted(sources.items()):
        branches = [count for _, counts in lines.values() for count in counts]
        row = [sum(1 for count, _ in lines.values() if count), len(lines), sum(1 for b in branches if b), len(branches)]
        total = [a + b for a, b in zip(total, row)]
        print(f"{name:28} {share(*row[:2]):6.1f} % {row[1]:4} {share(*row[2:]):7.1f} % {row[3]:5}")
        if "--missing" in sys.argv:
            for number, (count, counts) in sorted(lines.items()):
                if not count or 0 in counts:
                    never = "line" if not count else f"{counts.count(0)} of {len(counts)} branches"
                    print(f"    {name}:{number}: {never} never taken")
    print(f"{'all of ' + folder:28} {share(*total[:2]):6.1f} % {total[1]:4} {share(*total[2:]):7.1f} % {total[3]:5}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
