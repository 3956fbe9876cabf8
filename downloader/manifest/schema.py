"""The manifest's JSON Schema, for editors."""

from typing import Any

from downloader.manifest.document import ManifestDocument

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def manifest_schema() -> dict[str, Any]:
    """The JSON Schema of a manifest. What no schema can say (min above max, UIDs in files) only `load_manifest` refuses."""
    schema = ManifestDocument.model_json_schema()
    _drop_null(schema)
    return {"$schema": DIALECT, **schema, "title": "tciad manifest"}


def _drop_null(node: object) -> None:
    """No key may be written as null: what the models know as None is a key that is not there."""
    if isinstance(node, list):
        for item in node:
            _drop_null(item)
    if not isinstance(node, dict):
        return
    if "default" in node and node["default"] is None:
        del node["default"]
    options = [option for option in node.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) == 1:
        del node["anyOf"]
        node.update(options[0])
    elif options:
        node["anyOf"] = options
    for value in node.values():
        _drop_null(value)
