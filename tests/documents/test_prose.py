"""What users read is plain English: the words of the field, and sentences with a subject."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")), *sorted((ROOT / "docs").glob("*.md"))]
AVOIDED = re.compile(
    r"\b(whoever|nobody|somebody|so many|(?:it|that) is told|tells? of|lies in|by and by|for ever)\b", re.IGNORECASE
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_avoid_words_that_hide_the_subject(page: Path) -> None:
    """HTTP headers, code and quotes of programs are not prose."""
    prose = re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert AVOIDED.findall(prose) == []
