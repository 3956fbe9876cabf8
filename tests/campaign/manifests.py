"""Random manifests, and which series each of them selects, evaluated without the code of tciad."""

import json
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from random import Random
from typing import Final

from downloader.sandbox import Sandbox
from tests.campaign.catalogue import PlannedSeries, World

LAYOUTS: Final = (
    "classic",
    "descriptive",
    "idc",
    "flat",
    "{collection}/{series_instance_uid}",
    "{collection}/{series_instance_uid}/{modality}",
    "{patient_id}/{modality}/{series_instance_uid}",
)
MOST_CAREFUL_FIRST: Final = ("keep", "quarantine", "delete")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of `select`. Empty matches anything."""

    collection: str = ""
    patient_id: str = ""
    modality: str = ""
    series: tuple[str, ...] = ()
    most_images: int = 0

    def wants(self, planned: PlannedSeries) -> bool:
        """Whether the series matches the entry."""
        return (
            _fits(self.collection, planned.collection)
            and _fits(self.patient_id, planned.patient_id)
            and _fits(self.modality, planned.modality)
            and (not self.series or planned.series_instance_uid in self.series)
            and (not self.most_images or planned.images <= self.most_images)
        )

    def as_yaml(self) -> str:
        """The entry as a mapping on one line; JSON is YAML."""
        keys: dict[str, object] = {
            "collection": self.collection,
            "patient_id": self.patient_id,
            "modality": self.modality,
            "series_instance_uid": list(self.series),
            "image_count": {"max": self.most_images} if self.most_images else None,
        }
        return json.dumps({name: value for name, value in keys.items() if value}, ensure_ascii=False)

    @property
    def is_filtered(self) -> bool:
        """Whether it selects only parts of collections."""
        return bool(self.patient_id or self.modality or self.series)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One manifest."""

    name: str
    api: str
    select: tuple[Entry, ...]
    exclude: str = ""
    layout: str = ""
    storage: str = ""
    md5: str = "auto"
    attempts: int = 3
    withdrawn: str = "keep"
    max_shrink: int = 100
    signs_in: bool = False

    def wants(self, planned: PlannedSeries) -> bool:
        """Whether the manifest selects the series."""
        return any(entry.wants(planned) for entry in self.select) and not (self.exclude and planned.modality == self.exclude)

    def as_yaml(self, sandbox: Sandbox) -> str:
        """The text of the manifest."""
        address = sandbox.bindaas_url if self.api == "bindaas" else sandbox.base_url
        archive: dict[str, object] = {"base_url": address, "api": self.api}
        if self.signs_in:
            archive["auth"] = {"api_key_in": "query"} if self.api == "bindaas" else {}
        lines = ["version: 1", f"name: {self.name}", f"archive: {json.dumps(archive)}", "select:"]
        lines += [f"  - {entry.as_yaml()}" for entry in self.select]
        if self.exclude:
            lines += ["exclude:", f"  - modality: {self.exclude}"]
        output = {"layout": self.layout, "format": self.storage}
        lines.append(f"output: {json.dumps({name: value for name, value in output.items() if value})}")
        lines.append(f"download: {{attempts: {self.attempts}, md5: {json.dumps(self.md5)}}}")
        lines += [f"withdrawn: {self.withdrawn}", "withdrawn_grace: 0.001s", f"max_shrink: {self.max_shrink}%", ""]
        return "\n".join(lines)

    @property
    def asks_digests(self) -> bool:
        """Whether runs of the manifest must detect a changed byte, if the archive's digests are available."""
        return self.md5 != "off" and self.api != "bindaas"


def _fits(pattern: str, value: str) -> bool:
    return not pattern or fnmatchcase(value.casefold(), pattern.casefold())


def draw_wish(random: Random, world: World, name: str, *, is_old: bool) -> Wish:
    """A manifest; `is_old`: of an archive with the API of 2013 only."""
    api = "bindaas" if is_old else random.choice(("v4", "v4", "v1", "v1", "v2"))
    return Wish(
        name=name,
        api=api,
        select=tuple(_draw_entry(random, world) for _ in range(random.choice((1, 1, 2)))),
        exclude="RTPLAN" if random.random() < 0.1 else "",
        layout=random.choice(("", "", *LAYOUTS)),
        storage=random.choice(("", "", "images", "zip")),
        md5="off" if random.random() < 0.12 else "require" if random.random() < 0.12 and not is_old else "auto",
        attempts=random.choice((1, 2, 3, 3, 4)),
        withdrawn=random.choice(MOST_CAREFUL_FIRST),
        max_shrink=random.choice((5, 100, 100, 100)),
        signs_in=random.random() < 0.4 and api != "v1",
    )


def _draw_entry(random: Random, world: World) -> Entry:
    planned = random.choice(list(world.listed().values()))
    kind = random.choice(("everything", "everything", "collection", "glob", "patient", "modality", "series", "few"))
    match kind:
        case "everything":
            return Entry(collection="*")
        case "collection":
            return Entry(collection=planned.collection)
        case "glob":
            return Entry(collection=f"{planned.collection[0]}*")
        case "patient":
            return Entry(collection=planned.collection, patient_id=planned.patient_id)
        case "modality":
            return Entry(collection=planned.collection, modality=planned.modality)
        case "few":
            return Entry(collection=planned.collection, most_images=6)
        case _:
            return Entry(series=tuple(random.sample(list(world.listed()), min(4, len(world.listed())))))


def change_wish(random: Random, world: World, wish: Wish) -> tuple[Wish, str]:
    """The manifest with one change, and its description."""
    drawn = draw_wish(random, world, wish.name, is_old=wish.api == "bindaas")
    kind = random.choice(
        ("select", "layout", "layout", "storage", "md5", "api", "attempts", "withdrawn", "exclude", "max_shrink")
    )
    changed = replace(wish, **{kind: getattr(drawn, kind)}, signs_in=wish.signs_in and drawn.api != "v1")
    if changed.md5 == "require" and changed.api == "bindaas":
        changed = replace(changed, md5="auto")
    value = [entry.as_yaml() for entry in changed.select] if kind == "select" else getattr(changed, kind)
    return changed, f"{wish.name}: {kind} {value or '-'}"
