"""What code and documents refer to is in the repository."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("benchmarks", "docker", "docs", "downloader", "manifests", "tests")
SUFFIXES = {".md", ".py", ".rst", ".sql", ".toml", ".yaml", ".yml", ".html", ".js", ".sh"}
FILES = sorted(
    [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES]
    + [path for path in ROOT.iterdir() if path.suffix in {".md", ".toml"}]
)
OUTSIDE = re.compile(r"\b(?:ARCHIVE|DESIGN|FLEET|HOUSE|IDC|PEERS|PERFORMANCE|STYLE|TESTING|TRIALS)(?:\.md\b|\s*§)")
# `docs/archives.md#dates, #md5s` refers to two headings of one page
REFERENCE = re.compile(r"\bdocs/([\w/.-]+\.md)(#[\w-]+(?:,\s+#[a-z][\w-]+)*)?")
LINK = re.compile(r"\]\(([^()#\s:]*)(#[\w-]+)?\)")


@cache
def anchors_of(page: Path) -> frozenset[str]:
    """The anchors that GitHub and Sphinx give to the headings of a page."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return frozenset(re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings)


def missing_in(page: Path, anchors: str) -> list[str]:
    """The anchors in `#one, #two` that the page does not have."""
    return [anchor for anchor in re.findall(r"#([\w-]+)", anchors) if anchor not in anchors_of(page)]


def test_no_document_outside_of_the_repository_is_cited() -> None:
    """A reader could not look it up."""
    cited = [
        (str(path.relative_to(ROOT)), found) for path in FILES for found in OUTSIDE.findall(path.read_text(encoding="utf-8"))
    ]
    assert cited == []


def test_every_page_and_heading_that_is_cited_exists() -> None:
    """Pages in the folder docs, with or without an anchor, cited in code and documents."""
    wrong = []
    for path in FILES:
        for name, anchors in REFERENCE.findall(path.read_text(encoding="utf-8")):
            page = ROOT / "docs" / name
            if "NNNN" not in name and (not page.is_file() or missing_in(page, anchors)):
                wrong.append((str(path.relative_to(ROOT)), name, anchors))
    assert wrong == []


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".md"], ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    """Relative links of Markdown files, with their anchors."""
    text = re.sub(r"`[^`\n]*`", "", path.read_text(encoding="utf-8"))
    wrong = []
    for target, anchor in LINK.findall(text):
        page = (path.parent / target).resolve() if target else path
        if not page.exists() or (page.suffix == ".md" and missing_in(page, anchor)):
            wrong.append(target + anchor)
    assert wrong == []
