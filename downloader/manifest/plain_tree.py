"""Manifests that were never a file: plain Python data, read by the same rules."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Final

from downloader.config.messages import kind_of, quote
from downloader.manifest.problems import Problem, refuse, show_path
from downloader.manifest.source import HALF_A_PAIR, is_text
from downloader.manifest.yaml_tree import DEEPEST, MOST_NODES, KeyPath, Mark, YamlTree

_NOWHERE: Final = Mark(0, "")


def plain_tree(document: Mapping[str, object], path: Path) -> YamlTree:
    """The tree that the document would be if it stood in a YAML file; its values have no lines.

    Tuples, paths and enumerations of words are taken for lists and text.

    Raises:
        ManifestError: it holds what YAML could not say, or is nested too deeply (as data that holds itself is).
    """
    marks: dict[KeyPath, Mark] = {}

    def build(value: object, at: KeyPath) -> object:
        marks[at] = _NOWHERE
        if len(at) > DEEPEST or len(marks) > MOST_NODES:
            raise refuse(path, [Problem(0, "", "nested too deeply, or too large; put long lists of series into a series list")])
        if isinstance(value, Mapping):
            return {str(key): build(item, (*at, str(key))) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [build(item, (*at, index)) for index, item in enumerate(value)]
        if isinstance(value, str) and not is_text(value):
            raise refuse(path, [Problem(0, show_path(at), f"{quote(value)} {HALF_A_PAIR}")])
        if isinstance(value, str | Path):
            return str(value)
        if isinstance(value, bool | int | float | date):
            return value
        raise refuse(path, [Problem(0, show_path(at), f"{kind_of(value)} is not allowed in a manifest")])

    return YamlTree(build(document, ()), marks, ())
