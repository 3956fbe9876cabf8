"""YAML as plain data that remembers its lines.

PyYAML's own constructor forgets where a value stood, lets the second of two equal keys win in silence, and expands aliases
without bound. This one composes the tree of nodes and builds the data from it, collecting everything that is wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml

from downloader.config.messages import quote
from downloader.manifest.problems import Problem, refuse, show_path
from downloader.manifest.source import HALF_A_PAIR, is_text

MOST_NODES: Final = 100_000
DEEPEST: Final = 20

KeyPath = tuple[str | int, ...]

_TAG: Final = "tag:yaml.org,2002:"
_SCALARS: Final[Mapping[str, str]] = {
    "str": "text",
    "bool": "a Boolean",
    "int": "a number",
    "float": "a number",
    "timestamp": "a date",
}
# Messages of PyYAML, and what they usually mean in a manifest; the first match is reported.
_ADVICE: Final = (
    ("found character '\\t'", "YAML must not be indented with tabs; use spaces"),
    ("but found '\\t'", "YAML must not be indented with tabs; use spaces"),
    ("that cannot start any token", "text that begins with this character must be in quotes"),
    ("found undefined alias", "no anchor has that name; text that begins with * must be in quotes"),
    ("expected alphabetic or numeric character", "text that begins with * or & must be in quotes"),
    ("expected a single document", "more than one document (---); a manifest must be a single one"),
    (
        "mapping values are not allowed",
        "unexpected colon; put text that contains ': ' in quotes, and check the indentation",
    ),
    ("could not find expected ':'", "a key without a colon"),
)


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a value stands, and the text it was written as (empty for lists and mappings). `line` counts from 1."""

    line: int
    raw: str


@dataclass(frozen=True, slots=True)
class YamlTree:
    """Plain data, the place of each value, and what was wrong with the YAML itself."""

    data: object
    marks: Mapping[KeyPath, Mark]
    problems: tuple[Problem, ...]


def parse_yaml(text: str, path: Path) -> YamlTree:
    """Parse one YAML document.

    Raises:
        ManifestError: no YAML, empty, nested too deeply, or too large once its aliases are written out.
    """
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        raise refuse(path, [_syntax_problem(error)]) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise refuse(path, [Problem(line, "", "a control character; the file is not plain text")]) from error
    except RecursionError as error:
        raise refuse(path, [Problem(1, "", "nested too deeply")]) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise refuse(path, [Problem(1, "", f"not YAML: {quote(str(error))}")]) from error
    if root is None:
        raise refuse(path, [Problem(1, "", "the file is empty; a manifest begins with version: 1")])
    builder = _Builder(loader, path)
    data = builder.build(root, ())
    return YamlTree(data, builder.marks, tuple(builder.problems))


def _syntax_problem(error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    said = " ".join(str(error).split())
    advice = next((advice for sign, advice in _ADVICE if sign in said), None)
    what = advice or f"not YAML: {error.problem or error.context}"
    return Problem(mark.line + 1 if mark else 1, "", what, mark.column + 1 if mark else 0)


@dataclass(slots=True)
class _Builder:
    loader: yaml.SafeLoader
    path: Path
    marks: dict[KeyPath, Mark] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    nodes: int = 0

    def build(self, node: yaml.Node, at: KeyPath) -> object:
        """The data of a node and all below it."""
        self._count(node, at)
        self.marks.setdefault(at, Mark(node.start_mark.line + 1, _raw(node)))
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._build_mapping(node, at)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return [self.build(item, (*at, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.tag.removeprefix(_TAG) in _SCALARS:
            return self._build_scalar(node, at)
        is_null = isinstance(node, yaml.ScalarNode) and node.tag == f"{_TAG}null"
        self._complain(
            at,
            "has no value; give it one, or leave it out" if is_null else f"the tag {quote(node.tag)} is not allowed in manifests",
        )
        return None

    def _count(self, node: yaml.Node, at: KeyPath) -> None:
        self.nodes += 1
        line = node.start_mark.line + 1
        if self.nodes > MOST_NODES:
            what = f"more than {MOST_NODES} values; put long lists of series into a series list"
            raise refuse(self.path, [Problem(line, "", what)])
        if len(at) > DEEPEST:
            raise refuse(self.path, [Problem(line, "", "nested too deeply")])

    def _build_mapping(self, node: yaml.MappingNode, at: KeyPath) -> dict[str, object]:
        data: dict[str, object] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = key_node.value
            if not isinstance(key, str) or key_node.tag == f"{_TAG}merge":
                what = "merge keys (<<) are not allowed in manifests" if isinstance(key, str) else "a key must be plain text"
                self.problems.append(Problem(line, show_path(at), what))
                continue
            if not is_text(key):
                self.problems.append(Problem(line, show_path(at), f"the key {quote(key)} {HALF_A_PAIR}"))
                continue
            if key in data:
                what = f"duplicate key, first in line {self.marks[*at, key].line}"
                self.problems.append(Problem(line, show_path((*at, key)), what))
                continue
            self.marks[*at, key] = Mark(line, _raw(value_node))
            data[key] = self.build(value_node, (*at, key))
        return data

    def _build_scalar(self, node: yaml.ScalarNode, at: KeyPath) -> object:
        kind = node.tag.removeprefix(_TAG)
        try:
            match kind:
                case "bool":
                    return self.loader.construct_yaml_bool(node)
                case "int":
                    return self.loader.construct_yaml_int(node)
                case "float":
                    return self.loader.construct_yaml_float(node)
                case "timestamp":
                    return self.loader.construct_yaml_timestamp(node)
                case _:
                    return self._build_text(str(node.value), at)
        except (ValueError, LookupError, AttributeError, OverflowError):
            # explicit tags on text that does not fit them fail in many ways inside PyYAML
            self._complain(
                at,
                f"{quote(str(node.value))} looks like {_SCALARS[kind]} but is not; correct it, or put it in quotes if it is text",
            )
            return None

    def _build_text(self, text: str, at: KeyPath) -> str | None:
        if is_text(text):
            return text
        self._complain(at, f"{quote(text)} {HALF_A_PAIR}")
        return None

    def _complain(self, at: KeyPath, what: str) -> None:
        self.problems.append(Problem(self.marks[at].line, show_path(at), what))


def _raw(node: yaml.Node) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""
