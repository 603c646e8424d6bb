#!/usr/bin/env python3
"""Whether YAML files fit a JSON Schema. usage: schema_check.py SCHEMA FILE...

A line for each file: "fits FILE", or "refused FILE: REASON" with the innermost reason. A Markdown
FILE stands for all its ```yaml blocks. Exit status 1 if any was refused.
"""
import json
import sys

import jsonschema
import yaml


def documents(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if not path.endswith(".md"):
        yield path, text
        return
    for number, block in enumerate(text.split("\n```yaml\n")[1:], 1):
        yield f"{path}#{number}", block.split("\n```\n")[0]


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    failed = False
    for path in sys.argv[2:]:
        for name, text in documents(path):
            error = jsonschema.exceptions.best_match(validator.iter_errors(yaml.safe_load(text)))
            failed |= error is not None
            print(f"refused {name}: {error.message}" if error else f"fits {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
