"""What a library holds."""

from functools import partial
from pathlib import Path

from downloader.api.blocking import wait_for
from downloader.api.keywords import prepare
from downloader.engine import open_records
from downloader.errors import SettingsError
from downloader.settings import resolve_options
from downloader.views.library_series import LibrarySeries, flatten


async def library_series_async(
    library: str | Path, *, manifest: str | None = None, state: str | Path | None = None
) -> tuple[LibrarySeries, ...]:
    """Every series that the library knows, with where it stands; a row each, which data frames take as they are.

    Args:
        library: its folder.
        manifest: name of a manifest, for only what that one wants.
        state: the state store, if it is not inside the library.

    Raises:
        SettingsError: the library knows no such manifest.
        StoreError: there is no library, or its store cannot be read.
    """
    flags, settings = prepare({"output": library, "state": state})
    options = resolve_options(flags, settings, {})
    async with open_records(options.output, options.state) as store:
        known = await store.manifests()
        if manifest is not None and manifest not in known:
            raise SettingsError(f"manifest: the library knows no {manifest!r}; there are {', '.join(known) or 'none'}")
        return tuple([flatten(row) async for row in store.find(manifest)])


def library_series(
    library: str | Path, *, manifest: str | None = None, state: str | Path | None = None
) -> tuple[LibrarySeries, ...]:
    """The same as `library_series_async`, for code that does not await."""
    return wait_for(partial(library_series_async, library, manifest=manifest, state=state))
