"""What users and developers read is plain English: the words of the field, and sentences with a subject."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")), *sorted((ROOT / "docs").glob("*.md"))]
AVOIDED = re.compile(
    r"\b(whoever|nobody|somebody|so many|(?:it|that) is told|tells? of|lies in|by and by|for ever)\b", re.IGNORECASE
)
AVOIDED_IN_TESTS = re.compile(r"\b(whoever|nobody|so many|(?:it|that) is told)\b", re.IGNORECASE)
AVOIDED_IN_CODE = re.compile(
    r"\b(whoever|nobody|somebody|everybody|so many|(?:is|are|was|were) told|tells? of|lies in|by and by|for ever"
    r"|told apart|goes by|the better for|word for|done without|in passing|half (?:made|done)|vouch\w*"
    r"|(?<!there )(?-i:(?:is|are) none))\b",
    re.IGNORECASE,
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_avoid_words_that_hide_the_subject(page: Path) -> None:
    """HTTP headers, code and quotes of programs are not prose."""
    prose = re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert AVOIDED.findall(prose) == []


def comments_and_strings(path: Path) -> Iterator[str]:
    """The prose of a module: comments, docstrings, and all other strings."""
    text = path.read_text(encoding="utf-8")
    yield from (token.string for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type == tokenize.COMMENT)
    yield from (
        node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def is_docstring(node: ast.stmt) -> bool:
    """Whether the statement is a string by itself: a docstring, or the description of a name."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def texts_for_users(path: Path) -> Iterator[str]:
    """The strings of a module that are not docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and is_docstring(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def rooms() -> dict[str, list[Path]]:
    """The modules of each room, and the modules beside the rooms."""
    found: dict[str, list[Path]] = {}
    for path in sorted((ROOT / "downloader").rglob("*.py")):
        found.setdefault(path.relative_to(ROOT / "downloader").parts[0].removesuffix(".py"), []).append(path)
    return found


def avoided_in(texts: Iterator[str]) -> list[str]:
    """The words to avoid that these texts have; a line break may be inside of one."""
    return [word for text in texts for word in AVOIDED_IN_CODE.findall(re.sub(r"\s+", " ", text))]


@pytest.mark.parametrize("room", rooms())
def test_texts_for_users_avoid_words_that_hide_the_subject(room: str) -> None:
    """Help, errors, warnings and log events; in the command line docstrings are help too."""
    for path in rooms()[room]:
        assert avoided_in(texts_for_users(path)) == [], path


@pytest.mark.parametrize("folder", [*(f"downloader/{room}" for room in rooms()), "benchmarks", "tests/campaign", "tests/fakes"])
def test_docstrings_and_comments_avoid_words_that_hide_the_subject(folder: str) -> None:
    """Developers read plain English too."""
    path = ROOT / folder
    for module in sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]:
        assert avoided_in(comments_and_strings(module)) == [], module


def docstrings_of(path: Path) -> Iterator[str]:
    """What module, classes and functions say of themselves."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def test_what_tests_say_of_themselves_avoids_words_that_hide_the_subject() -> None:
    """In docstrings; names and data of tests are older."""
    for module in sorted((ROOT / "tests").rglob("*.py")):
        words = [word for text in docstrings_of(module) for word in AVOIDED_IN_TESTS.findall(re.sub(r"\s+", " ", text))]
        assert words == [], module


@pytest.mark.parametrize("page", sorted((ROOT / "downloader").rglob("*.html")) + sorted((ROOT / "downloader").rglob("*.j*")))
def test_the_pages_of_the_service_and_of_the_report_avoid_them_too(page: Path) -> None:
    """In their words and scripts; what is between the braces of Jinja is code."""
    prose = re.sub(r"\{[{%].*?[%}]\}", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert AVOIDED_IN_CODE.findall(prose) == []
