"""Incremental reader of a ZIP, without I/O: `feed` yields events, `finish` checks the members against the central directory.

    reader = ZipReader()
    for chunk in body:
        for event in reader.feed(chunk):
            ...
    summary = reader.finish()

Trust a member only after its MemberEnded, and the ZIP only after `finish` has returned: before that, the ZIP may still be
truncated or contradict its central directory.
"""

from downloader.zipstream.events import MemberData, MemberEnded, MemberStarted, ZipEvent
from downloader.zipstream.limits import LICENSE_MEMBER, LONGEST_TEXT_BYTES, MD5_LIST_MEMBER, ZipLimits
from downloader.zipstream.members import ZipMember, ZipSummary
from downloader.zipstream.reader import ZipReader

__all__ = [
    "LICENSE_MEMBER",
    "LONGEST_TEXT_BYTES",
    "MD5_LIST_MEMBER",
    "MemberData",
    "MemberEnded",
    "MemberStarted",
    "ZipEvent",
    "ZipLimits",
    "ZipMember",
    "ZipReader",
    "ZipSummary",
]
