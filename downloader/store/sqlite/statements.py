"""Loads the store's SQL from files: statements by name, migrations by number."""

import re
import sqlite3
from collections.abc import Iterator, Mapping
from importlib.resources import files

_NAME_LINE = re.compile(r"^-- (\w+) --$", re.MULTILINE)
_MIGRATION_NAME = re.compile(r"^(\d{4})_\w+\.sql$")


def load_queries() -> Mapping[str, str]:
    """The statements of sql/queries.sql by name."""
    text = files(__package__).joinpath("sql", "queries.sql").read_text(encoding="utf-8")
    _, *blocks = _NAME_LINE.split(text)
    return {name: statement.strip() for name, statement in zip(blocks[::2], blocks[1::2], strict=True)}


def load_migrations() -> Mapping[int, str]:
    """The scripts of sql/migrations/ by number; number n migrates version n - 1 to version n."""
    scripts = {}
    for file in files(__package__).joinpath("sql", "migrations").iterdir():
        if match := _MIGRATION_NAME.match(file.name):
            scripts[int(match[1])] = file.read_text(encoding="utf-8")
    return dict(sorted(scripts.items()))


def split_statements(script: str) -> Iterator[str]:
    """The statements of a script one by one, triggers included: `executescript` would commit the enclosing transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
