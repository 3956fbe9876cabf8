"""The tables of docs/archives.md, made of the code's own: `python -m tests.archive.archive_tables` writes them anew."""

import re
from collections.abc import Iterator
from pathlib import Path

from downloader.archive.nbia.endpoints import Endpoint, Generation, Method, QueryEndpoint
from downloader.archive.nbia.generations import GENERATIONS
from downloader.archive.question import Topic

PAGE = Path(__file__).parents[2] / "docs" / "archives.md"
DATE_WORDS = {"%Y/%m/%d": "yyyy/MM/dd", "%d/%m/%Y": "dd/MM/yyyy", "%m-%d-%Y": "MM-dd-yyyy"}


def render(table: Generation) -> str:
    """The section of one generation."""
    lines = ["| what | endpoint | parameters | formats | attributes of a row |", "|---|---|---|---|---|"]
    lines += [_query_row(topic, query) for topic, query in table.queries.items()]
    lines += ["", "| images and their hashes | endpoint | parameters |", "|---|---|---|", *_image_rows(table)]
    return "\n".join(lines)


def sections_of(page: str) -> dict[str, str]:
    """What stands in the page between the marks of each generation."""
    return dict(re.findall(r"<!-- table of (\w+) -->\n(.*?)\n<!-- end of table -->", page, re.DOTALL))


def _query_row(topic: Topic, query: QueryEndpoint) -> str:
    parameters = _parameters(query.endpoint, list(query.filters.values()))
    parameters += "".join(f", `{name}={value}`" for name, value in query.fixed.items())
    if query.paging is not None:
        parameters = f"as `criteriaType0`, `value0` and so on, in pages of {query.paging.rows_at_once}: {parameters}"
    if query.date_format:
        date = query.filters["since"]
        parameters = parameters.replace(f"`{date}`", f"`{date}` ({DATE_WORDS[query.date_format]})")
    cells = (
        f"`{topic}`",
        _address(query.endpoint),
        parameters,
        " ".join(query.formats),
        ", ".join(f"`{attribute}`" for attribute in query.attributes),
    )
    return f"| {' | '.join(cells)} |"


def _image_rows(table: Generation) -> Iterator[str]:
    for number, route in enumerate(table.image_routes, start=1):
        fixed = "".join(f", `{name}={value}`" for name, value in route.fixed.items())
        told = "with MD5s" if route.md5_list else "without MD5s"
        yield f"| all of a series, {told}: way {number} | {_address(route.endpoint)} | **`SeriesInstanceUID`**{fixed} |"
    single = (("one image", table.single_image), ("MD5 of an image", table.image_md5), ("MD5 of a series", table.series_md5))
    for what, endpoint in single:
        if endpoint is not None:
            yield f"| {what} | {_address(endpoint)} | {_parameters(endpoint, sorted(endpoint.required | endpoint.optional))} |"


def _address(endpoint: Endpoint) -> str:
    return f"{'POST ' if endpoint.method is Method.POST else ''}`{endpoint.path}`"


def _parameters(endpoint: Endpoint, names: list[str]) -> str:
    shown = [f"**`{name}`**" if name in endpoint.required else f"`{name}`" for name in names]
    return ", ".join(shown) or "none"


def rewrite(page: str) -> str:
    """The page with every table as the code has it."""
    for name, table in GENERATIONS.items():
        begin, end = f"<!-- table of {name} -->\n", "\n<!-- end of table -->"
        before, found, rest = page.partition(begin)
        if not found:
            raise ValueError(f"{PAGE.name} has no mark for the table of {name}")
        page = before + begin + render(table) + end + rest.partition(end)[2]
    return page


if __name__ == "__main__":
    PAGE.write_text(rewrite(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
