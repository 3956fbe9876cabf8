"""Which complete series a look at the library found."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """What a look at the library found.

    Of `complete` series of the manifest the receipts of `looked_at` were looked for. `missing` were not in the library and are
    fetched again, the first of them named in `first_missing`. `moved` were in another folder than the store had noted. The
    folders of `unreadable` could not be looked at: `first_unreadable` has the first of them with the reasons.
    """

    complete: int
    looked_at: int
    missing: int = 0
    moved: int = 0
    first_missing: tuple[str, ...] = ()
    unreadable: int = 0
    first_unreadable: tuple[str, ...] = ()

    def warnings(self) -> list[str]:
        """What a user should know of it."""
        told = []
        if self.missing:
            others = " and others" if self.missing > len(self.first_missing) else ""
            told.append(
                f"{self.missing:,} series that were complete are not in the library any more, and are fetched again: "
                f"{', '.join(self.first_missing)}{others}"
            )
        if self.moved:
            told.append(f"{self.moved:,} complete series were in another folder than the store had noted; it is corrected")
        if self.unreadable:
            others = " and others" if self.unreadable > len(self.first_unreadable) else ""
            told.append(
                f"the folders of {self.unreadable:,} complete series could not be looked at, so that the run is not complete; "
                f"repair or remove them, and run again: {'; '.join(self.first_unreadable)}{others}"
            )
        if self.looked_at < self.complete:
            told.append(
                f"the file system of the library is slow: of {self.complete:,} complete series, {self.looked_at:,} chosen at "
                "random were looked for, and all of those are there; `tciad verify` looks for all"
            )
        return told
