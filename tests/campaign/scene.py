"""One library, its archive and its manifests, and their history."""

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
    """One command that was run, with library and store before and after it.

    `listed` is what the archive listed at the start, `downloaded` the series whose ZIPs were requested; `changed`: the archive
    changed during the command. `wish` is the manifest of a run. `elsewhere`: another folder was in the place of the library;
    `unexpected`: the command should have succeeded.
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
        """Whether it ended by itself with success."""
        return self.ended.exit_code == 0

    @property
    def is_quiet(self) -> bool:
        """Whether there was no fault, no kill and no change."""
        return self.script.is_empty and not self.ended.disturbance.is_any and not self.changed


def _reason(ended: Ended) -> str:
    """The last line of stderr of a refused command, or the error in its report."""
    if ended.exit_code not in {1, 2, 4, 5, 6}:
        return ""
    told = [document["error"] for document in ended.documents() if document.get("error")]
    return f": {(told or ended.stderr.strip().splitlines() or [''])[-1][:300]}"


@dataclass(slots=True)
class Ledger:
    """Records of manual changes of the library, which excuse a command until it has checked the series.

    `kept` is the newest version of each series that was ever intact in the tree and must still exist; `wanted` has the manifests
    whose runs selected each series; `harmed` are series whose folder was damaged manually, and how (`ever_harmed`: at any time);
    `copied` are folders that were copied manually; `store_is_stale`: the store is an older one, or missing; `is_unsettled`: the
    last command was disturbed, and no command has opened the library since to finish its changes.
    """

    kept: dict[str, int] = field(default_factory=dict)
    wanted: dict[str, set[str]] = field(default_factory=dict)
    harmed: dict[str, str] = field(default_factory=dict)
    ever_harmed: set[str] = field(default_factory=set)
    copied: set[PurePosixPath] = field(default_factory=set)
    store_is_stale: bool = False
    is_unsettled: bool = False

    def forgive(self) -> None:
        """Clear the records: everything is in order again."""
        self.harmed.clear()
        self.copied.clear()
        self.store_is_stale = False


@dataclass(slots=True, kw_only=True)
class Scene:
    """The state of an iteration. `log` has its steps, `tally` counts what was exercised."""

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
        """Read library and store."""
        return look(self.library, self.store)

    def serve(self) -> None:
        """Replace the archive's content by the current world."""
        self.archive.replace(self.world.catalogue())

    def play(self, script: Script) -> None:
        """Replace the archive's faults by this script."""
        for fault in self.script.faults:
            self.tally[f"fault {fault.kind}"] += min(1, self.archive.sandbox.faults.struck(fault.kind))
        self.script = script
        self.archive.sandbox.faults.clear()
        self.archive.sandbox.faults.add(*script.faults)
        if not script.is_empty:
            self.log.append(f"  faults: {script}")

    def manifest(self, wish: Wish) -> Path:
        """Write the manifest to a file."""
        path = self.folder / f"{wish.name}.yaml"
        path.write_text(wish.as_yaml(self.archive.sandbox), encoding="utf-8")
        return path

    def shown_by(self, wish: Wish) -> list[str]:
        """The secrets that a run of this manifest sends to the archive, which may echo them."""
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
        """Run a command on the library, and record it."""
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
        """Delete the store manually."""
        for path in self.store.parent.glob(f"{self.store.name}*"):
            if path.name in {self.store.name, f"{self.store.name}-wal", f"{self.store.name}-shm"}:
                path.unlink()
        self.ledger.store_is_stale = True
        self.ledger.wanted.clear()

    def put_store(self, copy: Path) -> None:
        """Replace the store by a copy manually."""
        self.remove_store()
        shutil.copy2(copy, self.store)
