"""Sans-I/O reader of a ZIP while it arrives: `feed` gives events, `finish` proves what came against the central directory.

    reader = ZipReader()
    for chunk in body:
        for event in reader.feed(chunk):
            ...
    summary = reader.finish()

A member counts for nothing before its MemberEnded, and the ZIP for nothing before `finish` has returned: until then it may yet
turn out to be cut, or to contradict its own directory.
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
