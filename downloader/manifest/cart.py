"""The header of a cart (`.tcia`): a Java properties file whose last key begins a list of UIDs (docs/archives.md#tcia-manifests).

Source: java.util.Properties.load: `=`, `:` or blanks after the key, `#` and `!` begin comments, a backslash at the end of a line
joins the next to it, and elsewhere it escapes a character.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from downloader.config.messages import quote
from downloader.manifest.problems import Problem, refuse

_LIST_KEY: Final = "listofseriestodownload"
_KEYS: Final = frozenset(
    {
        _LIST_KEY,
        "downloadserverurl",
        "includeannotation",
        "noofrretry",
        "databasketid",
        "manifestversion",
        "datatype",
        "temploc",
        "servermanifestloc",
        "serverjnlpfileloc",
        "isjnlp",
    }
)
_OLD_KEYS: Final = frozenset({"databasketid", "temploc", "servermanifestloc", "serverjnlpfileloc", "isjnlp"})
_ASSIGNMENT: Final = re.compile(r"\s*([A-Za-z][A-Za-z0-9_.]*)\s*([=:]|(?<=\s)|$)(.*)", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_CONTROLS: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_LOGIN: Final = re.compile(r"-x(\.(tcia|jnlp))?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Cart:
    """What the header says, by key in small letters with its line, and the numbered lines that are no part of it."""

    header: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    lines: tuple[tuple[int, str], ...] = ()

    @property
    def lists_series(self) -> bool:
        """Whether a line says that a list of series begins."""
        return _LIST_KEY in self.header

    @property
    def download_url(self) -> str:
        """`downloadServerUrl`, or empty."""
        return self._value("downloadserverurl")

    @property
    def wants_annotations(self) -> bool:
        """`includeAnnotation`."""
        return self._value("includeannotation").casefold() in ("true", "yes")

    @property
    def needs_login(self) -> bool:
        """A `databasketId` that ends in `-x` makes the Data Retriever ask for an account first."""
        return _LOGIN.search(self._value("databasketid")) is not None

    def _value(self, key: str) -> str:
        return self.header.get(key, (0, ""))[1]

    def check(self, path: Path) -> None:
        """Refuse carts that name no series themselves, and carts of a kind to come.

        Raises:
            ManifestError: with the line.
        """
        line, version = self.header.get("manifestversion", (1, ""))
        major = version.partition(".")[0]
        if version and not major.isdecimal():
            raise refuse(path, [Problem(line, "manifestVersion", f"{quote(version)} is not a version such as 3.0")])
        if major and int(major[:9]) >= 4:
            what = f"version {version} is newer than this tciad; it reads version 3"
            raise refuse(path, [Problem(line, "manifestVersion", what)])
        if not self.lists_series or major in ("1", "2"):
            old = "an old cart whose series were stored on a server of the archive that no longer exists; save the cart again"
            is_old = major in ("1", "2") or _OLD_KEYS & self.header.keys()
            what = (
                old
                if is_old
                else "not a cart: the line ListOfSeriesToDownload= is missing; use the extension .txt for a plain list of UIDs"
            )
            raise refuse(path, [Problem(line, "", what)])
        line, kind = self.header.get("datatype", (1, "DICOM"))
        if kind.casefold() not in ("", "dicom"):
            raise refuse(path, [Problem(line, "dataType", f"the cart contains {quote(kind)}; tciad mirrors DICOM images")])


def read_cart(text: str) -> Cart:
    """Take the header's lines out of the text, wherever they stand; comments are dropped."""
    header: dict[str, tuple[int, str]] = {}
    lines: list[tuple[int, str]] = []
    for number, line in _logical_lines(text):
        assignment = _ASSIGNMENT.fullmatch(line)
        key = assignment[1].lower() if assignment else ""
        # other files than carts have words and addresses with colons in them
        if assignment is None or (assignment[2] != "=" and key not in _KEYS):
            lines.append((number, line.partition("#")[0]))
            continue
        value = _unescape(assignment[3].strip()).rstrip(",").strip()
        header[key] = (number, value)
        if key == _LIST_KEY:
            lines.append((number, value))
    return Cart(header, tuple(lines))


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines that are no comments, those that continue the one before joined to it, with the number of the first."""
    begun, begun_at = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        if not begun and line.lstrip().startswith(("#", "!")):
            continue
        begun_at = begun_at if begun else number
        begun += line.lstrip() if begun else line
        if (len(begun) - len(begun.rstrip("\\"))) % 2:
            begun = begun[:-1]
            if begun:
                continue
        yield begun_at, begun
        begun = ""
    if begun:
        yield begun_at, begun


def _unescape(text: str) -> str:
    return _ESCAPE.sub(
        lambda escape: chr(int(escape[1][1:], 16)) if len(escape[1]) > 1 else _CONTROLS.get(escape[1], escape[1]), text
    )
