"""docs/decisions/README.md lists every decision as its page states it."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "decisions"
INDEX = (FOLDER / "README.md").read_text(encoding="utf-8")
PAGES = sorted(path for path in FOLDER.iterdir() if path.name != "README.md")
HEAD = re.compile(r"# (\d+)\. (.+)\n\nStatus: (accepted|superseded by \d+), (\d{4}-\d\d-\d\d)\.\n\n")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_index_repeats_what_the_page_states(page: Path) -> None:
    """A page begins with its number, title, status and date."""
    head = HEAD.match(page.read_text(encoding="utf-8"))
    assert head is not None
    number, title, status, date = head.groups()
    assert page.name.startswith(f"{int(number):04}-")
    assert f"| [{number}]({page.name}) | {title} | {status} | {date} |" in INDEX


def test_the_index_lists_each_page_once_and_accounts_for_every_number() -> None:
    """A number is a page, or the sentence below the table names it as unused."""
    listed = re.findall(r"^\| \[\d+\]\((.+?)\) \|", INDEX, re.MULTILINE)
    unused = {int(number) for number in re.findall(r"\d+", INDEX.rpartition("\n\n")[2])}
    numbers = [int(page.name[:4]) for page in PAGES]
    assert listed == [page.name for page in PAGES]
    assert sorted([*numbers, *unused]) == list(range(1, max(numbers) + 1))
