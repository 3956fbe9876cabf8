"""The judge: invariants after each command, whatever happened to it. It shares no code with tciad."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.campaign.catalogue import PlannedSeries, World
from tests.campaign.commands import EXIT_CODES
from tests.campaign.evidence import Copy, Evidence, find_text
from tests.campaign.manifests import MOST_CAREFUL_FIRST, Wish
from tests.campaign.scene import Deed, Ledger

_SIGTERM_BEFORE_IT_BEGAN: Final = -15
_TOLD_AT_THE_END: Final = frozenset({0, 3})
_SEEN_BY_DEEP_ONLY: Final = frozenset({"flipped"})
_SEEN_BY_A_RUN: Final = frozenset({"folder gone", "receipt gone"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Judges the commands on one library. `ran` are the manifests in the store."""

    world: World
    ledger: Ledger
    ran: Mapping[str, Wish]
    library: Path
    folder: Path
    secrets: Sequence[str]
    is_old: bool

    def judge(self, deed: Deed) -> list[str]:
        """The violations; afterwards clears the records of manual damage that the command has repaired."""
        found = [*self._conduct(deed)]
        if deed.unexpected:
            found.append(f"end: {deed.verb} does not succeed: exit {deed.ended.exit_code}: {deed.ended.stdout[-1500:]}")
        if deed.elsewhere:
            return [*found, *(self._wanted(deed, deed.wish) if deed.succeeded and deed.wish else ())]
        self._note_wanted(deed)
        found += self._lost(deed)
        found += self._believed_damage(deed)
        self._forgive(deed)
        if not self.ledger.is_unsettled:
            found += self._wrong_completes(deed.after)
        if deed.verb == "run" and deed.succeeded and deed.wish is not None:
            found += self._wanted(deed, deed.wish)
            found += [] if deed.ended.was_hindered else self._tidy(deed, deed.wish)
        if deed.verb == "run" and deed.is_quiet:
            found += self._fetched_again(deed)
        if deed.verb == "store rebuild" and deed.succeeded:
            found += self._rebuilt(deed.after)
        return found

    # Exit codes and output

    def _conduct(self, deed: Deed) -> Iterator[str]:
        ended = deed.ended
        if ended.hung:
            yield "conduct: it did not end"
            return
        if "Traceback (most recent call last)" in ended.stderr + ended.stdout:
            yield f"conduct: traceback: {ended.stderr.strip().splitlines()[-1:]}"
        if ended.exit_code == 1 or not (ended.was_killed or ended.exit_code in {*EXIT_CODES, _SIGTERM_BEFORE_IT_BEGAN}):
            yield f"conduct: exit code {ended.exit_code}: {ended.stderr[-300:]}"
        if ended.exit_code in _TOLD_AT_THE_END and "--json" in ended.arguments:
            try:
                if not ended.documents():
                    yield "conduct: --json printed nothing"
            except ValueError:
                yield "conduct: --json printed more than one document, or none"
        told = (ended.stdout + ended.stderr).encode()
        secrets = [secret.encode() for secret in self.secrets]
        if any(secret in told for secret in secrets):
            yield "secret: printed"
        places = find_text([self.library, self.folder / "state"], secrets)
        if places:
            yield f"secret: in {', '.join(sorted(places)[:3])}"

    # No loss of complete series

    def _note_wanted(self, deed: Deed) -> None:
        """Record the series that a run selected: series that vanished before any manifest selected them need not be kept."""
        if deed.wish is None or deed.verb != "run" or deed.ended.exit_code not in _TOLD_AT_THE_END:
            return
        for uid, planned in deed.listed.items():
            if deed.wish.wants(planned) and uid in self.world.listed():
                self.ledger.wanted.setdefault(uid, set()).add(deed.wish.name)

    def _lost(self, deed: Deed) -> Iterator[str]:
        for uid, before in list(self.ledger.kept.items()):
            after = self._best(deed.after.copies, uid)
            if after is None or after < before:
                if not self._may_go(uid, deed, "delete"):
                    yield f"lost: version {before} of series {self._name(uid)} is nowhere (best now: {after})"
                del self.ledger.kept[uid]
        if not deed.ended.was_hindered:
            yield from self._out_of_place(deed)
        self.note_kept(deed.after)

    def _out_of_place(self, deed: Deed) -> Iterator[str]:
        for uid in self.world.versions:
            before = self._best([copy for copy in deed.before.of(uid) if copy.keeps_word], uid)
            after = self._best(deed.after.of(uid), uid)
            if before is not None and (after is None or after < before) and not self._may_go(uid, deed, "quarantine"):
                yield f"lost from its place: version {before} of series {self._name(uid)} (best in place now: {after})"

    def note_kept(self, evidence: Evidence) -> None:
        """Record the intact series in the tree."""
        for uid in self.world.versions:
            age = self._best([copy for copy in evidence.of(uid) if copy.keeps_word], uid)
            if age is not None:
                self.ledger.kept[uid] = max(age, self.ledger.kept.get(uid, age))

    def _best(self, copies: Sequence[Copy], uid: str) -> int | None:
        """The index of the newest version that one of the folders has completely."""
        versions = self.world.versions[uid]
        ages = [age for age, version in enumerate(versions) for copy in copies if version <= copy.digests]
        return max(ages, default=None)

    def _may_go(self, uid: str, deed: Deed, policy: str) -> bool:
        """Whether manifests allow the removal: the series is withdrawn, and the most careful policy allows it."""
        if deed.verb != "run" or (uid in self.world.listed() and uid in deed.listed):
            return False
        planned = self.world.series[uid]
        names = self.ledger.wanted.get(uid, set())
        wishes = [wish.withdrawn for name, wish in self.ran.items() if name in names and wish.wants(planned)]
        careful = min(wishes, key=MOST_CAREFUL_FIRST.index, default="keep")
        return MOST_CAREFUL_FIRST.index(careful) >= MOST_CAREFUL_FIRST.index(policy)

    # Complete series are intact

    def _wrong_completes(self, after: Evidence) -> Iterator[str]:
        for uid, row in after.complete().items():
            if uid not in self.ledger.harmed and not self.ledger.store_is_stale:
                wrong = self._wrong(uid, after.at(row.folder))
                if wrong:
                    yield f"wrong complete: series {self._name(uid)} in {row.folder}: {wrong}"

    def _wrong(self, uid: str, copy: Copy | None) -> str:
        """The problem of a folder that should have the series; empty if there is none."""
        if copy is None:
            return "there is no such folder"
        if copy.receipt_uid != uid:
            return f"its receipt is of {copy.receipt_uid or 'no series'}"
        if not copy.keeps_word:
            return "its images are not what its receipt tells"
        if self.world.age(uid, copy.promised) is None:
            return "the archive never had these images together"
        return ""

    def _wanted(self, deed: Deed, wish: Wish) -> Iterator[str]:
        """After a run that ended complete: every wanted series exists in its newest version."""
        told = deed.ended.documents()[0] if deed.ended.documents() else {}
        for uid, planned in self.world.listed().items():
            if not wish.wants(planned) or deed.listed.get(uid) != planned:
                continue
            if self.ledger.harmed.get(uid, "folder gone") not in _SEEN_BY_A_RUN:
                continue
            row = deed.after.rows.get(uid)
            if row is None or row.state != "complete":
                state = "not in the store" if row is None else row.state
                hidden = " (lists were short, and nothing was said)" if deed.script.hides_series else ""
                if not (hidden and told.get("warnings")):
                    yield f"exit 0 without series {self._name(uid)}: {state}{hidden}"
                continue
            copy = deed.after.at(row.folder)
            wrong = self._wrong(uid, copy)
            if wrong:
                yield f"exit 0 with a wrong complete: series {self._name(uid)} in {row.folder}: {wrong}"
            elif copy and copy.promised != self.world.newest(uid) and not self.is_old and deed.script.is_empty:
                yield f"exit 0 with an old version of series {self._name(uid)}"

    def _tidy(self, deed: Deed, wish: Wish) -> Iterator[str]:
        """After a run that ended complete: one folder per series, and nothing in staging that no attempt will use."""
        for uid, planned in self.world.listed().items():
            folders = {copy.folder for copy in deed.after.of(uid)} - self.ledger.copied
            if wish.wants(planned) and len(folders) > 1 and not self.ledger.store_is_stale:
                yield f"two folders: series {self._name(uid)} is in {', '.join(map(str, sorted(folders)))}"
        awaited = [uid for uid, row in deed.after.rows.items() if row.state not in {"complete", "withdrawn"}]
        left = [name for name in deed.after.staged if not any(name.startswith(uid) for uid in awaited)]
        if left:
            yield f"staging: {', '.join(left)} stayed after a run that ended complete"

    def _fetched_again(self, deed: Deed) -> Iterator[str]:
        """Series that were intact, current, proven and known are not downloaded again."""
        for uid in sorted({*deed.downloaded} & {*self.world.listed()}):
            row = deed.before.rows.get(uid)
            copy = deed.before.at(row.folder) if row and row.state in {"complete", "withdrawn"} else None
            is_fine = copy and copy.digests_proven and not self._wrong(uid, copy) and copy.promised == self.world.newest(uid)
            if is_fine and uid not in self.ledger.harmed and not self.ledger.store_is_stale:
                yield f"fetched again: series {self._name(uid)}, which lay whole in {copy.folder if copy else ''}"

    # Reports of maintenance verbs

    def _believed_damage(self, deed: Deed) -> Iterator[str]:
        if deed.verb != "verify" or not deed.succeeded or "--repair" in deed.ended.arguments:
            return
        unseen = frozenset() if "--deep" in deed.ended.arguments else _SEEN_BY_DEEP_ONLY
        for uid, row in deed.after.complete().items():
            wrong = self._wrong(uid, deed.after.at(row.folder))
            if wrong and self.ledger.harmed.get(uid) not in unseen:
                yield f"verify calls the library sound, with series {self._name(uid)}: {wrong}"

    def _rebuilt(self, after: Evidence) -> Iterator[str]:
        """A new store has every intact series of the tree, in its newest version."""
        for uid in self.world.versions:
            copies = [copy for copy in after.of(uid) if copy.keeps_word]
            best = self._best(copies, uid)
            row = after.complete().get(uid)
            if best is None or uid in self.ledger.harmed:
                continue
            if row is None:
                yield f"rebuild: series {self._name(uid)} lies whole in {copies[0].folder}, and the store does not know"
            elif self._best([copy for copy in copies if str(copy.folder) == row.folder], uid) != best:
                yield f"rebuild: the store knows an older version of series {self._name(uid)} than the library has"

    def _forgive(self, deed: Deed) -> None:
        """Clear the records of manual damage of series that are intact again, or that a successful command had to check."""
        ledger = self.ledger
        ledger.is_unsettled = deed.ended.was_hindered or (ledger.is_unsettled and not _opens_library(deed))
        for uid, harm in list(ledger.harmed.items()):
            row = deed.after.complete().get(uid)
            is_whole = row is not None and not self._wrong(uid, deed.after.at(row.folder))
            # damage that keeps the size counts as unknown until the bytes are read
            if is_whole or (row is None and harm not in _SEEN_BY_DEEP_ONLY) or (deed.succeeded and self._looked_at(uid, deed)):
                del ledger.harmed[uid]
        if not deed.succeeded:
            return
        if deed.verb == "store rebuild":
            # receipts do not record which manifest wanted a series
            ledger.wanted.clear()
            ledger.store_is_stale = False
        elif _repairs(deed):
            ledger.forgive()

    def _looked_at(self, uid: str, deed: Deed) -> bool:
        """Whether the command had to check the manual damage of this series."""
        harm = self.ledger.harmed[uid]
        if deed.verb == "run" and deed.wish is not None:
            return harm in _SEEN_BY_A_RUN and uid in self.world.listed() and deed.wish.wants(self.world.series[uid])
        return _repairs(deed) or (deed.verb == "store rebuild" and harm not in _SEEN_BY_DEEP_ONLY)

    def _name(self, uid: str) -> str:
        planned: PlannedSeries = self.world.series[uid]
        return f"{planned.number} (…{uid[-6:]})"


def _repairs(deed: Deed) -> bool:
    """Whether the command reads every image and repairs damage."""
    return deed.verb == "verify" and {"--repair", "--deep"} <= {*deed.ended.arguments}


def _opens_library(deed: Deed) -> bool:
    """Whether the command may change the library, and so first finishes interrupted changes."""
    return deed.verb in {"run", "relayout", "store rebuild", "adopt"} or "--repair" in deed.ended.arguments
