# SPDX-License-Identifier: BSD-3-Clause
"""doc/cloister-schema.json is strict: for each kind of line an example is made of the schema itself; it fits, and it does
not with a member too many, too few or of another type, however deep."""

import copy
import json
import sys
import unittest

import schema

PATTERNS = {"^[0-9a-f]{8}$": "0123abcd", "^[0-9A-F]{40}$": "0123456789ABCDEF0123456789ABCDEF01234567",
            "^([0-9a-f]{2}:){5}[0-9a-f]{2}$": "02:00:00:00:00:01", "^[a-z0-9-]+$": "ipv6-off"}

with open(schema.PATH, encoding="ascii") as file:
    ROOT = json.load(file)


def resolve(node):
    while "$ref" in node:
        node = ROOT["definitions"][node["$ref"].rsplit("/", 1)[1]]
    return node


def example(node):
    node = resolve(node)
    if "enum" in node:
        return node["enum"][0]
    kinds = node["type"] if isinstance(node["type"], list) else [node["type"]]
    if kinds[0] == "object":
        return {name: example(each) for name, each in node.get("properties", {}).items()}
    if kinds[0] == "array":
        return [example(node["items"])]
    return {"integer": 1, "boolean": True, "string": PATTERNS.get(node.get("pattern"), "x")}[kinds[0]]


def objects(value, node, path=()):
    """Each object in an example, as (how to get there, its schema)."""
    node = resolve(node)
    if isinstance(value, dict):
        yield path, node
        for name, each in value.items():
            yield from objects(each, node["properties"][name], path + (name,))
    elif isinstance(value, list):
        for i, each in enumerate(value):
            yield from objects(each, node["items"], path + (i,))


def at(value, path):
    for step in path:
        value = value[step]
    return value


def fits(line):
    try:
        schema.check_lines(json.dumps(line))
    except schema.SchemaError:
        return False
    return True


class Strict(unittest.TestCase):
    def lines(self):
        for each in ROOT["oneOf"]:
            line = example(each)
            self.assertTrue(fits(line), line)
            for path, node in objects(line, each):
                yield line, path, node

    def test_every_kind_has_an_example_that_fits(self):
        kinds = {line["kind"] for line, _, _ in self.lines()}
        self.assertEqual(kinds, {"status", "flow", "circuit", "workstation", "drop", "metric", "end", "error"})

    def test_no_member_is_too_many(self):
        for line, path, node in self.lines():
            if not node.get("properties"):  # a map: of names that the schema does not know, and counts
                self.assertEqual(path, ("drops", "by_reason"))
                continue
            more = copy.deepcopy(line)
            at(more, path)["more"] = 1
            self.assertFalse(fits(more), more)

    def test_no_member_may_be_missing(self):
        for line, path, node in self.lines():
            for name in node.get("properties", {}):
                less = copy.deepcopy(line)
                del at(less, path)[name]
                # Of an external Tor nothing but that it is one is known.
                optional = path == ("tor",) and name != "mode"
                self.assertEqual(fits(less), optional, f"{path} without {name}")

    def test_a_member_has_its_type(self):
        for line, path, node in self.lines():
            for name in node.get("properties", {}):
                other = copy.deepcopy(line)
                at(other, path)[name] = 1.5
                self.assertFalse(fits(other), f"{path}: {name}")


if __name__ == "__main__":
    sys.exit(unittest.main())
