"""Validates a JSON document against one of a folder of JSON schemas: validate.py FOLDER SCHEMA DOCUMENT."""

import json
import pathlib
import sys

try:
    import jsonschema
except ImportError:
    print("python3-jsonschema is missing", file=sys.stderr)
    sys.exit(2)

folder, schema_name, document_name = sys.argv[1:]
schemas = {path.name: json.loads(path.read_text()) for path in pathlib.Path(folder).glob("*.json")}
schema = schemas[schema_name]
by_address = {}
for name, each in schemas.items():
    by_address[each.get("id") or each.get("$id") or name] = each
    # The schemas refer to each other by file name, relative to their own address.
    by_address[schema.get("id", schema.get("$id", "")).rsplit("/", 1)[0] + "/" + name] = each
resolver = jsonschema.RefResolver.from_schema(schema, store=by_address)
validator = jsonschema.validators.validator_for(schema)(schema, resolver=resolver)
errors = [error.message for error in validator.iter_errors(json.loads(pathlib.Path(document_name).read_text()))]
print("\n".join(errors))
sys.exit(1 if errors else 0)
