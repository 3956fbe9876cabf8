"""Which complete series the library still has."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """The result of checking whether complete series are in the library.

    Of `complete` series of the manifest, `looked_at` were checked by their receipts. `missing` ones were not in the library and
    are fetched again; `first_missing` has the first of them. `moved` ones were in another folder than the store had recorded. The
    folders of `unreadable` ones could not be read; `first_unreadable` has the first of them with the reasons.
    """

    complete: int
    looked_at: int
    missing: int = 0
    moved: int = 0
    first_missing: tuple[str, ...] = ()
    unreadable: int = 0
    first_unreadable: tuple[str, ...] = ()

    def warnings(self) -> list[str]:
        """Warnings for the user."""
        told = []
        if self.missing:
            others = " and others" if self.missing > len(self.first_missing) else ""
            told.append(
                f"{self.missing:,} complete series are missing from the library and are fetched again: "
                f"{', '.join(self.first_missing)}{others}"
            )
        if self.moved:
            told.append(f"{self.moved:,} complete series were in another folder than the store recorded; the store is corrected")
        if self.unreadable:
            others = " and others" if self.unreadable > len(self.first_unreadable) else ""
            told.append(
                f"the folders of {self.unreadable:,} complete series could not be read, so the run is incomplete; "
                f"repair or remove them, and run again: {'; '.join(self.first_unreadable)}{others}"
            )
        if self.looked_at < self.complete:
            told.append(
                f"the file system of the library is slow: of {self.complete:,} complete series, {self.looked_at:,} chosen at "
                "random were looked for, and all of those are there; `tciad verify` looks for all"
            )
        return told
