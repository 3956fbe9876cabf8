"""From a file to a manifest, or to everything that is wrong with the file."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from downloader.config.messages import explain, kind_of, suggest
from downloader.config.options import OptionValues
from downloader.errors import ManifestError, SettingsError
from downloader.manifest.archives import ArchiveAddress, archive_of_download_url, archive_of_list
from downloader.manifest.document import (
    SERIES_LIST_PROBLEMS,
    WITHDRAWN_GRACE_SECONDS,
    ManifestDocument,
    Schedule,
    WantedKeys,
    check_name,
)
from downloader.manifest.keys import TEXT_WANTED
from downloader.manifest.plain_tree import plain_tree
from downloader.manifest.problems import Problem, SourceError, refuse, show_path
from downloader.manifest.selection import Selection, make_selection
from downloader.manifest.series_list import SUFFIXES, SeriesList, read_series_list, refuse_foreign
from downloader.manifest.source import read_text
from downloader.manifest.yaml_tree import KeyPath, Mark, YamlTree, parse_yaml
from downloader.model import Series, WithdrawalRule, WithdrawnPolicy

LARGEST_BYTES: Final = 1024**2
_SECRET_KEYS: Final = frozenset({"password", "api_key", "token", "secret", "client_secret"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What the user wants.

    Attributes:
        path: the file it was read from.
        select: a series is wanted when any of these matches it
        exclude: and none of these does.
        options: what the manifest says of the run, and only that, under the names of RunOptions.
        schedule: when the service runs it; None if the manifest does not have one.
        withdrawn: what becomes of series that the archive no longer lists, `withdrawn_grace_seconds` after it was seen.
        files: the series lists that were read for it.
    """

    path: Path
    name: str
    archive: ArchiveAddress
    select: tuple[Selection, ...]
    exclude: tuple[Selection, ...] = ()
    options: OptionValues = field(default_factory=OptionValues)
    schedule: Schedule | None = None
    withdrawn: WithdrawnPolicy = WithdrawnPolicy.KEEP
    withdrawn_grace_seconds: float = WITHDRAWN_GRACE_SECONDS
    files: tuple[Path, ...] = ()

    def wants(self, series: Series) -> bool:
        """Whether some entry of `select` matches the series and none of `exclude` does."""
        return any(selection.matches(series) for selection in self.select) and not self.excludes(series)

    def archive_of(self, selection: Selection) -> ArchiveAddress:
        """Where the series of an entry of `select` are."""
        return selection.archive or self.archive

    @property
    def archives(self) -> tuple[ArchiveAddress, ...]:
        """Every archive that an entry of `select` asks, each once, in their order; no two go by one name."""
        return tuple({address.name: address for address in map(self.archive_of, self.select)}.values())

    @property
    def withdrawal_rule(self) -> WithdrawalRule:
        """What the manifest wants done with withdrawn series, for the store to remember."""
        return WithdrawalRule(policy=self.withdrawn, grace_seconds=self.withdrawn_grace_seconds)

    @property
    def compares_study_dates(self) -> bool:
        """Whether some entry chooses by the day of the study."""
        return any(selection.study_date is not None for selection in (*self.select, *self.exclude))

    def excludes(self, series: Series) -> bool:
        """Whether some entry of `exclude` matches the series."""
        return any(selection.matches(series) for selection in self.exclude)


def load_manifest(path: Path, *, archive: str | None = None, api: str | None = None) -> Manifest:
    """Read a manifest, or a series list that stands for one. Blocks while it reads: call it in a worker thread.

    Args:
        path: the file.
        archive: for a series list, the archive to ask whatever the list says: a built-in one, or a base URL.
        api: the generation of that base URL, or of the address that a cart comes from.

    Raises:
        ManifestError: the file cannot be read, or something in it is wrong. Each line of the error tells one problem, as
            `file:line: path: what is wrong`, in the order of the file.
        SettingsError: `archive` or `api` cannot be, or are given for a manifest.
    """
    try:
        if path.suffix.lower() in SUFFIXES:
            return _manifest_of_list(read_series_list(path), archive, api)
        refuse_foreign(path)
        if archive is not None or api is not None:
            raise SettingsError(
                f"--archive and --api are for series lists: {path} is a manifest, which names its own archive",
                next_step="leave them out, or set archive in the manifest",
            )
        text = read_text(path, LARGEST_BYTES)
    except SourceError as error:
        raise ManifestError(f"{path}: {error}") from error
    return _read_document(path, parse_yaml(text, path))


def read_manifest(document: Mapping[str, object], name: str = "manifest") -> Manifest:
    """Read a manifest that is plain data: what the YAML would say, with `version` 1 unless it says otherwise.

    Args:
        document: the keys of the manifest; series lists in it are relative to the working directory.
        name: how errors call it, and the manifest's name unless it names itself.

    Raises:
        ManifestError: something in it is wrong; each line tells one problem.
    """
    path = Path(name)
    return _read_document(path, plain_tree({"version": 1, **document}, path))


def read_archive(document: object, name: str = "archive") -> ArchiveAddress:
    """Read an archive that is plain data, by the rules for `archive` in a manifest.

    Args:
        document: the name of a built-in archive, or its mapping; files in it are relative to the working directory.
        name: how errors call it.

    Raises:
        ManifestError: something in it is wrong; each line tells one problem.
    """
    return read_manifest({"archive": document, "select": [{"collection": "*"}]}, name).archive


def _manifest_of_list(series_list: SeriesList, archive: str | None, api: str | None) -> Manifest:
    path = series_list.path
    try:
        address = archive_of_list(series_list.archive_hint, archive, api)
    except ValueError as error:
        raise ManifestError(f"{path}: downloadServerUrl: {error}") from error
    selection = Selection(position=str(path), series_instance_uids=series_list.series_instance_uids, series_lists=(series_list,))
    return Manifest(path=path, name=_name_of(path), archive=address, select=(selection,))


def _read_document(path: Path, tree: YamlTree) -> Manifest:
    if not isinstance(tree.data, dict):
        what = f"a manifest is a mapping that begins with version: 1, not {kind_of(tree.data)}"
        raise refuse(path, [*tree.problems, Problem(tree.marks[()].line, "", what)])
    try:
        document = ManifestDocument.model_validate(tree.data, context=str(path.parent))
    except ValidationError as error:
        raise _refuse_document(path, tree, error) from error
    problems = [*tree.problems, *_find_strangers(document, tree.marks)]
    if problems:
        raise refuse(path, problems)
    return Manifest(
        path=path,
        name=document.name or _name_of(path),
        archive=document.archive,
        select=tuple(
            make_selection(keys, _position(path, tree.marks, "select", index), _archive_of(document, keys))
            for index, keys in enumerate(document.select)
        ),
        exclude=tuple(
            make_selection(keys, _position(path, tree.marks, "exclude", index)) for index, keys in enumerate(document.exclude)
        ),
        options=document.option_values(),
        schedule=document.schedule,
        withdrawn=document.withdrawn,
        withdrawn_grace_seconds=document.withdrawn_grace_seconds,
        files=tuple(dict.fromkeys(_lists_of(document))),
    )


def _lists_of(document: ManifestDocument) -> Iterator[Path]:
    for keys in (*document.select, *document.exclude):
        for series_list in keys.series_list or ():
            yield series_list.path


def _position(path: Path, marks: Mapping[KeyPath, Mark], key: str, index: int) -> str:
    line = marks[key, index].line
    return f"{path}:{line}" if line else f"{path}: {show_path((key, index))}"


def _name_of(path: Path) -> str:
    try:
        return check_name(path.stem)
    except ValueError as error:
        raise ManifestError(f"{str(path)!r}: the name of the file is not a valid name of a manifest: {error}") from error


def _find_strangers(document: ManifestDocument, marks: Mapping[KeyPath, Mark]) -> Iterator[Problem]:
    """Archives that contradict each other: carts of two in one entry, or two that go by one name."""
    named: dict[str, ArchiveAddress] = {}
    for index, keys in enumerate(document.select):
        at: KeyPath = ("select", index)
        try:
            archive = _archive_of(document, keys)
        except ValueError as error:
            at = (*at, "series_list")
            yield Problem(marks[at].line, show_path(at), str(error))
            continue
        if named.setdefault(archive.name, archive) != archive:
            what = f"{archive.name} has two different addresses in this manifest; move one of them to another manifest"
            yield Problem(marks[at].line, show_path(at), what)


def _archive_of(document: ManifestDocument, keys: WantedKeys) -> ArchiveAddress:
    """Where the series of an entry are: what the entry says, else the manifest, else the carts that it names.

    Raises:
        ValueError: the carts come from two archives, or from what is no address.
    """
    if keys.archive is not None or "archive" in document.model_fields_set:
        return keys.archive or document.archive
    meant: ArchiveAddress | None = None
    for series_list in keys.series_list or ():
        if not series_list.archive_hint:
            continue
        try:
            hinted = archive_of_download_url(series_list.archive_hint)
        except ValueError as error:
            raise ValueError(f"{series_list.path}: downloadServerUrl: {error}") from error
        if meant is not None and hinted != meant:
            raise ValueError(
                f"{series_list.path} comes from {hinted.name}, the carts before it from {meant.name}; split the entry"
            )
        meant = hinted
    return meant or document.archive


def _refuse_document(path: Path, tree: YamlTree, error: ValidationError) -> ManifestError:
    """Everything that YAML and models found wrong, in the order of the file, each place once.

    What the models find in a mapping whose parts YAML could not give is only a consequence.
    """
    problems = list(tree.problems)
    elsewhere: list[str] = []
    for detail in error.errors(include_url=False):
        if detail["type"] == SERIES_LIST_PROBLEMS:
            elsewhere.append(detail["msg"])
            continue
        at, mark = _find_mark(detail["loc"], tree.marks)
        if detail["type"] == "missing":
            at = (*at, detail["loc"][-1])
        problem = Problem(mark.line, show_path(at), _explain(detail, mark))
        if not any(f"{told.place}.".startswith((f"{problem.place}.", f"{problem.place}[")) for told in tree.problems):
            problems.append(problem)
    lines = [refuse(path, problems).what] if problems else []
    return ManifestError("\n".join(lines + elsewhere))


def _find_mark(location: KeyPath, marks: Mapping[KeyPath, Mark]) -> tuple[KeyPath, Mark]:
    """The nearest place in the file: a value that stands for a list of one has no index there."""
    at = location
    while at not in marks:
        at = at[:-1]
    return at, marks[at]


def _explain(detail: ErrorDetails, mark: Mark) -> str:
    match detail["type"]:
        case "extra_forbidden":
            return _explain_unknown(detail["loc"])
        case kind if kind == TEXT_WANTED and mark.raw:
            read = kind_of(detail["input"])
            return f'expected text, but YAML reads {mark.raw} as {read}; put it in quotes: "{mark.raw}"'
        case _:
            return explain(detail)


def _explain_unknown(location: KeyPath) -> str:
    key = str(location[-1])
    model: type[BaseModel] = ManifestDocument
    for step in location[:-1]:
        if isinstance(step, str):
            model = next(_models_in(_field_annotation(model, step)))
    if key in _SECRET_KEYS:
        return "a manifest must not contain secrets; name a file with password_file or api_key_file"
    known = [info.alias or name for name, info in model.model_fields.items()]
    return f"unknown key{suggest(key, known)}" if suggest(key, known) else f"unknown key; the keys are {', '.join(known)}"


def _field_annotation(model: type[BaseModel], key: str) -> object:
    return next(info.annotation for name, info in model.model_fields.items() if (info.alias or name) == key)


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """The models that a field's annotation holds, however deep in unions and tuples."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)
