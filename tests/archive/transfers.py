"""Reads transfers to their end, as an attempt does, and makes what they bring."""

import zipfile
from collections.abc import Mapping
from io import BytesIO

from downloader.archive.port import Transfer
from downloader.model import ImageData, ImageEnded, ImageStarted


def zip_of(members: Mapping[str, bytes]) -> bytes:
    """A ZIP with these members, in their order."""
    content = BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in members.items():
            archive.writestr(zipfile.ZipInfo(name), member, zipfile.ZIP_DEFLATED)
    return content.getvalue()


async def read_images(transfer: Transfer) -> dict[str, bytes]:
    """The images that a transfer brings, by the source's names; whatever else comes is passed over."""
    images: dict[str, bytes] = {}
    name = ""
    content: list[bytes] = []
    async for portion in transfer.portions():
        for event in portion.events:
            if isinstance(event, ImageStarted):
                name, content = event.name, []
            elif isinstance(event, ImageData):
                content.append(event.data)
            elif isinstance(event, ImageEnded):
                images[name] = b"".join(content)
    return images


async def read_original(transfer: Transfer) -> bytes:
    """The bytes as the source sends them. The images in them are read, too."""
    content = b""
    async for portion in transfer.portions():
        for _ in portion.events:
            pass
        content += b"".join(portion.original)
    return content
