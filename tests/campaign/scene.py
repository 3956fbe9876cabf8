"""One library, its archive and its manifests, and what happened to them so far."""

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from random import Random

from downloader.sandbox import DOWNLOADS
from tests.acceptance.archives import ServedArchive
from tests.campaign.catalogue import PlannedSeries, World
from tests.campaign.commands import UNDISTURBED, Commander, Disturbance, Ended, Happening
from tests.campaign.evidence import Evidence, look
from tests.campaign.faults import Script
from tests.campaign.manifests import Wish


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One command that was run, and what was there before and after it.

    `listed` is what the archive listed when it began, `downloaded` the series whose ZIPs it asked for; `changed`: the archive
    changed while it ran. `wish` is the manifest that it ran. `elsewhere`: another folder was in the place of the library;
    `unexpected`: by then it should have succeeded.
    """

    verb: str
    ended: Ended
    before: Evidence
    after: Evidence
    script: Script
    listed: Mapping[str, PlannedSeries]
    downloaded: Sequence[str]
    changed: bool = False
    wish: Wish | None = None
    elsewhere: bool = False
    unexpected: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether it ended by itself and said that all is well."""
        return self.ended.exit_code == 0

    @property
    def is_quiet(self) -> bool:
        """Whether nothing interfered: no fault, no kill, no change."""
        return self.script.is_empty and not self.ended.disturbance.is_any and not self.changed


def _reason(ended: Ended) -> str:
    """The last line of stderr of a command that was refused, or the error that it told."""
    if ended.exit_code not in {1, 2, 4, 5, 6}:
        return ""
    told = [document["error"] for document in ended.documents() if document.get("error")]
    return f": {(told or ended.stderr.strip().splitlines() or [''])[-1][:300]}"


@dataclass(slots=True)
class Ledger:
    """What hands did to the library, which no command can be blamed for until it has looked.

    `kept` is the newest version of each series that ever lay whole in its place and has to be somewhere; `wanted` has the
    manifests whose runs found each series; `harmed` are series whose folder was damaged by hand, and how (`ever_harmed`: at
    any time); `copied` folders that hands made; `store_is_stale`: the store is an older one, or none; `is_unsettled`: the last
    command was hindered, and none has opened the library since to finish what it began.
    """

    kept: dict[str, int] = field(default_factory=dict)
    wanted: dict[str, set[str]] = field(default_factory=dict)
    harmed: dict[str, str] = field(default_factory=dict)
    ever_harmed: set[str] = field(default_factory=set)
    copied: set[PurePosixPath] = field(default_factory=set)
    store_is_stale: bool = False
    is_unsettled: bool = False

    def forgive(self) -> None:
        """Everything is in order again."""
        self.harmed.clear()
        self.copied.clear()
        self.store_is_stale = False


@dataclass(slots=True, kw_only=True)
class Scene:
    """Everything that an iteration is about. `log` tells its steps, `tally` counts what was exercised."""

    random: Random
    world: World
    archive: ServedArchive
    commander: Commander
    folder: Path
    state: Path | None
    wishes: dict[str, Wish]
    secrets: Sequence[str]
    is_old: bool
    ledger: Ledger = field(default_factory=Ledger)
    script: Script = field(default_factory=Script)
    ran: dict[str, Wish] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)
    deeds: list[Deed] = field(default_factory=list)
    backup: Path | None = None

    @property
    def library(self) -> Path:
        """The library."""
        return self.folder / "library"

    @property
    def store(self) -> Path:
        """The state store."""
        return self.state or self.library / ".tciad" / "state.db"

    def look(self) -> Evidence:
        """What is there now."""
        return look(self.library, self.store)

    def serve(self) -> None:
        """Let the archive hold what the world is now."""
        self.archive.replace(self.world.catalogue())

    def play(self, script: Script) -> None:
        """Let the archive misbehave by this script, and by no other."""
        for fault in self.script.faults:
            self.tally[f"fault {fault.kind}"] += min(1, self.archive.sandbox.faults.struck(fault.kind))
        self.script = script
        self.archive.sandbox.faults.clear()
        self.archive.sandbox.faults.add(*script.faults)
        if not script.is_empty:
            self.log.append(f"  faults: {script}")

    def manifest(self, wish: Wish) -> Path:
        """The manifest as a file, newly written."""
        path = self.folder / f"{wish.name}.yaml"
        path.write_text(wish.as_yaml(self.archive.sandbox), encoding="utf-8")
        return path

    def shown_by(self, wish: Wish) -> list[str]:
        """The secrets that the archive gets to see of a run of this manifest, and so may echo."""
        key, password = self.secrets
        return [key] if wish.api == "bindaas" else [password] if wish.signs_in or wish.api == "v2" else []

    def where(self) -> list[str | Path]:
        """The flags that name library and store."""
        flags: list[str | Path] = ["-o", self.library]
        return [*flags, "--state", self.state] if self.state else flags

    def command(
        self,
        verb: str,
        *arguments: str | Path,
        disturbance: Disturbance = UNDISTURBED,
        happenings: Sequence[Happening] = (),
        wish: Wish | None = None,
    ) -> Deed:
        """Run a command over the library, and note it."""
        before, listed, asked = self.look(), dict(self.world.listed()), len(self.archive.sandbox.requests)
        ended = self.commander.run(*verb.split(), *arguments, *self.where(), disturbance=disturbance, happenings=happenings)
        requests = self.archive.sandbox.requests[asked:]
        deed = Deed(
            verb=verb,
            ended=ended,
            before=before,
            after=self.look(),
            script=self.script,
            listed=listed,
            downloaded=[one.series_instance_uid or "" for one in requests if one.endpoint in DOWNLOADS],
            changed=bool(happenings),
            wish=wish,
        )
        disturbed = f" ({disturbance})" if disturbance.is_any else ""
        about = [str(one) for one in arguments if not str(one).startswith("/")]
        named = wish.name if wish else ""
        self.log.append(f"  {' '.join([verb, named, *about])}{disturbed}: exit {ended.exit_code}{_reason(ended)}")
        self.tally[f"verb {verb}"] += 1
        self.tally[f"exit {ended.exit_code}"] += 1
        if disturbance.is_any:
            self.tally[f"disturbed: {disturbance.word}"] += 1
        self.deeds.append(deed)
        return deed

    def remove_store(self) -> None:
        """Delete the store by hand."""
        for path in self.store.parent.glob(f"{self.store.name}*"):
            if path.name in {self.store.name, f"{self.store.name}-wal", f"{self.store.name}-shm"}:
                path.unlink()
        self.ledger.store_is_stale = True
        self.ledger.wanted.clear()

    def put_store(self, copy: Path) -> None:
        """Put a copy in the place of the store by hand."""
        self.remove_store()
        shutil.copy2(copy, self.store)
