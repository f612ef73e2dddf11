# SPDX-License-Identifier: BSD-3-Clause
"""As much of JSON Schema (draft 7) as doc/cloister-schema.json uses. What it does not know it refuses, so that nothing of
a schema is passed over in silence."""

import json
import os
import re

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "doc", "cloister-schema.json")
_TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
_SILENT = {"$schema", "title", "description", "definitions"}


class SchemaError(Exception):
    pass


def _is(value, name):
    if name == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, _TYPES[name])


def _check(value, schema, root, where):
    def fail(what):
        raise SchemaError(f"{where}: {what}: {value!r}")

    for key, wanted in schema.items():
        if key in _SILENT:
            continue
        if key == "$ref":
            node = root
            for part in wanted.removeprefix("#/").split("/"):
                node = node[part]
            _check(value, node, root, where)
        elif key == "type":
            names = wanted if isinstance(wanted, list) else [wanted]
            if not any(_is(value, name) for name in names):
                fail(f"is no {' or '.join(names)}")
        elif key == "enum":
            if value not in wanted:
                fail(f"is none of {wanted}")
        elif key == "pattern":
            if isinstance(value, str) and not re.search(wanted, value):
                fail(f"does not match {wanted}")
        elif key == "minimum":
            if _is(value, "integer") and value < wanted:
                fail(f"is less than {wanted}")
        elif key == "maximum":
            if _is(value, "integer") and value > wanted:
                fail(f"is more than {wanted}")
        elif key == "maxItems":
            if isinstance(value, list) and len(value) > wanted:
                fail(f"has more than {wanted}")
        elif key == "items":
            for i, each in enumerate(value if isinstance(value, list) else []):
                _check(each, wanted, root, f"{where}[{i}]")
        elif key == "required":
            for name in wanted if isinstance(value, dict) else []:
                if name not in value:
                    fail(f"has no {name}")
        elif key == "properties":
            for name in wanted if isinstance(value, dict) else []:
                if name in value:
                    _check(value[name], wanted[name], root, f"{where}.{name}")
        elif key == "additionalProperties":
            for name in set(value) - set(schema.get("properties", {})) if isinstance(value, dict) else []:
                if wanted is False:
                    fail(f"has a member {name}")
                _check(value[name], wanted, root, f"{where}.{name}")
        elif key == "oneOf":
            reasons = []
            for each in wanted:
                try:
                    _check(value, each, root, where)
                except SchemaError as error:
                    reasons.append(str(error))
            if len(reasons) != len(wanted) - 1:
                fail(f"fits {len(wanted) - len(reasons)} of {len(wanted)}: {reasons}")
        else:
            raise SchemaError(f"{where}: this validator knows no {key}")


def check_lines(text):
    """The objects of an answer, each checked, with one line of plain ASCII for each."""
    with open(PATH, encoding="ascii") as file:
        root = json.load(file)
    found = []
    for line in text.splitlines():
        if not all(0x20 <= ord(c) <= 0x7e for c in line):
            raise SchemaError(f"not plain ASCII: {line!r}")
        found.append(json.loads(line))
        _check(found[-1], root, root, f"line {len(found)}")
    return found
