"""The config of a library at the start of a run: its own, with the changes of the run's options."""

from dataclasses import replace

from downloader.config.options import DEFAULT_LAYOUT, StorageFormat
from downloader.library.model import LibraryConfig
from downloader.library.port import LibraryState


async def settle_config(
    state: LibraryState, layout: str | None, storage: StorageFormat | None, *, holds_series: bool
) -> LibraryConfig:
    """The config of the library from now on; `layout` and `storage` are the run's options, if they are set.

    The layout of a library that holds series is changed by moving them, and by nothing else. The library is locked.

    Raises:
        LibraryError, NoSpaceError: it cannot be read or written.
    """
    known = await state.config()
    config = known or LibraryConfig(layout=layout or DEFAULT_LAYOUT)
    if not holds_series:
        config = replace(config, layout=layout or config.layout, is_moving=False)
    config = replace(config, format=storage or config.format)
    if config != known:
        await state.write_config(config)
    return config
