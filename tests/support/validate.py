"""Validates a JSON document against one of a folder of JSON schemas: validate.py FOLDER SCHEMA DOCUMENT."""

import json
import pathlib
import sys

try:
    import jsonschema
except ImportError:
    print("python3-jsonschema is missing")
    sys.exit(2)


def without_ids(value):
    """The schemas refer to each other by file name; their ids would move the place that this is relative to."""
    if isinstance(value, dict):
        return {
            key: without_ids(each)
            for key, each in value.items()
            if not (key in ("id", "$id") and isinstance(each, str))
        }
    return [without_ids(each) for each in value] if isinstance(value, list) else value


folder, schema_name, document_name = sys.argv[1:]
schemas = {path.name: without_ids(json.loads(path.read_text())) for path in pathlib.Path(folder).glob("*.json")}
schema = schemas[schema_name]
resolver = jsonschema.RefResolver(base_uri=schema_name, referrer=schema, store=schemas)
validator = jsonschema.validators.validator_for(schema)(schema, resolver=resolver)
errors = [error.message for error in validator.iter_errors(json.loads(pathlib.Path(document_name).read_text()))]
print("\n".join(errors))
sys.exit(1 if errors else 0)
