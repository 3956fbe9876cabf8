"""`tciad schema`: the JSON Schema of the manifest."""

import typer

from downloader.cli.command import print_json
from downloader.manifest import manifest_schema


def add_to(app: typer.Typer) -> None:
    """Give the command line this verb."""
    app.command("schema")(_schema)


def _schema() -> int:
    """Print the JSON Schema of the manifest."""
    print_json(manifest_schema())
    return 0
