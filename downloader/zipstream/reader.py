"""Forward-only reader of a ZIP.

The reader is one generator in the order of the file (APPNOTE 4.3.6): members, central directory, end records. It yields None when
it needs more bytes, and `feed` resumes it with the next chunk. The generator's own position is the parser state, so that no table
of states is needed.
"""

from collections.abc import Generator, Iterator
from dataclasses import fields
from enum import StrEnum

from isal import igzip_lib
from isal.isal_zlib import crc32 as crc32_of

from downloader.errors import CorruptZipError, TruncatedZipError, UnsafeMemberError
from downloader.zipstream import records
from downloader.zipstream.events import MemberData, MemberEnded, MemberStarted, ZipEvent
from downloader.zipstream.limits import ZipLimits
from downloader.zipstream.members import ZipMember, ZipSummary

# Size of the input of one inflate call. The inflater copies the input that it did not use at the end of a member, so with whole
# chunks every small member would copy a chunk. Input and output of this size stay in the processor's cache. Smaller inputs wait
# more often for the GIL, which each call releases (docs/decisions/0010).
_INFLATE_INPUT_BYTES = 256 * 1024
# Maximum output of one inflate call. Deflate compresses up to 1000:1, so the limits must be checked before much is inflated.
_INFLATE_OUTPUT_BYTES = 1024 * 1024
# Deflate adds at most 5 bytes for each 64 KiB that it cannot compress, and a little more where the writer flushes often. Without
# this limit, a stream of empty blocks would never end.
_PACKED_MARGIN_BYTES = 1024 * 1024
# APPNOTE allows extensible data in the ZIP64 end record; no known writer uses it.
_ZIP64_END_BYTES_MAX = 4096

_InflateError: type[Exception] = igzip_lib.IsalError  # type: ignore[assignment]  # isal's stub types the class as an instance


class _Stage(StrEnum):
    """Which part of the ZIP the reader is waiting for; completes the sentence "the ZIP ends ..."."""

    BOUNDARY = "after member {came}, before the central directory"
    HEADER = "in the header of member {next}"
    DATA = "in member {next}"
    DESCRIPTOR = "in the descriptor of member {next}"
    DIRECTORY = "inside the central directory, after {listed} of {came} members"
    END_RECORD = "inside the end record"
    DONE = ""


class ZipReader:
    """Reads one ZIP. Discard the reader after an error.

    Names are passed on unchanged, including duplicates and control characters. They are decoded as UTF-8 if the member is flagged
    so, otherwise as code page 437 (APPNOTE appendix D). Errors name members by number, from 1, and positions by byte offset, from
    0.
    """

    def __init__(self, limits: ZipLimits = ZipLimits()) -> None:  # noqa: B008 - frozen
        self._limits = limits
        self._buffer = b""
        self._position = 0
        self._received_bytes = 0
        self._total_bytes = 0
        self._members: list[ZipMember] = []
        self._listed = 0
        self._stage = _Stage.HEADER
        self._events = self._read()

    def feed(self, chunk: bytes) -> Iterator[ZipEvent]:
        """Parse the next bytes of the body, of any length, and yield their events. Parsing happens while the result is iterated.

        Raises:
            CorruptZipError: the bytes are not a ZIP, or the ZIP contradicts itself.
            UnsafeMemberError: there are more or larger members than the limits allow, or a name is too long for any file system.
        """
        rest = self._buffer[self._position :]
        self._buffer = rest + chunk if rest else chunk
        self._position = 0
        self._received_bytes += len(chunk)
        for event in self._events:
            if event is None:
                return
            yield event

    def finish(self) -> ZipSummary:
        """End the body, and return the summary of the ZIP.

        Raises:
            TruncatedZipError: the body ended before the ZIP did.
        """
        if self._stage is not _Stage.DONE:
            came = len(self._members)
            place = self._stage.format(came=came, next=came + 1, listed=self._listed)
            raise TruncatedZipError(f"the ZIP ends {place}, at byte {self._received_bytes:,}")
        return ZipSummary(members=tuple(self._members), received_bytes=self._received_bytes)

    @property
    def _offset(self) -> int:
        """Offset in the ZIP of the next unread byte."""
        return self._received_bytes - len(self._buffer) + self._position

    def _need(self, count: int) -> Iterator[None]:
        """Yield None until at least `count` unread bytes are buffered."""
        while len(self._buffer) - self._position < count:
            yield None

    def _read(self) -> Generator[ZipEvent | None, None, None]:
        signature = yield from self._signature()
        while signature == records.LOCAL_SIGNATURE:
            self._stage = _Stage.HEADER
            yield from self._read_member()
            self._stage = _Stage.BOUNDARY
            signature = yield from self._signature()
        self._stage = _Stage.DIRECTORY
        yield from self._read_directory(signature)
        self._stage = _Stage.DONE
        while self._position == len(self._buffer):
            yield None
        raise CorruptZipError(f"bytes follow the end of the ZIP at byte {self._offset:,}")

    def _signature(self) -> Generator[None, None, bytes]:
        """Return the next signature without consuming it; raise CorruptZipError as soon as the bytes cannot be a signature."""
        while True:
            signature = self._buffer[self._position : self._position + records.SIGNATURE_BYTES]
            if not signature.startswith(b"PK"[: len(signature)]):
                raise self._no_record()
            if len(signature) == records.SIGNATURE_BYTES:
                return signature
            yield None

    def _no_record(self) -> CorruptZipError:
        found = self._buffer[self._position : self._position + 24]
        if self._offset:
            return CorruptZipError(f"no ZIP record at byte {self._offset:,}, after {len(self._members)} members: {found!r}")
        kind = {b"<": "HTML or XML", b"{": "JSON", b"[": "JSON"}.get(found.lstrip()[:1])
        return CorruptZipError(f"the body is not a ZIP; it begins {f'like {kind}' if kind else 'with'}: {found!r}")

    def _read_member(self) -> Generator[ZipEvent | None, None, None]:
        offset = self._offset
        member = f"member {len(self._members) + 1} at byte {offset:,}"
        if len(self._members) >= self._limits.member_count:
            raise UnsafeMemberError(f"the ZIP contains more than {self._limits.member_count:,} members")
        yield from self._need(records.LOCAL_BYTES)
        header_bytes = records.local_header_bytes(self._buffer, self._position)
        yield from self._need(header_bytes)
        header = records.parse_local_header(self._buffer, self._position, member)
        self._position += header_bytes
        yield MemberStarted(header.name)
        self._stage = _Stage.DATA
        if header.method == records.STORED:
            size_bytes, crc32 = yield from self._copy(member, header.compressed_bytes)
        else:
            size_bytes, crc32 = yield from self._inflate(member)
        compressed_bytes = self._offset - offset - header_bytes
        if header.has_descriptor:
            self._stage = _Stage.DESCRIPTOR
            yield from self._need(records.DESCRIPTOR_WINDOW_BYTES)
            window = self._buffer[self._position : self._position + records.DESCRIPTOR_WINDOW_BYTES]
            descriptor_bytes = records.descriptor_bytes(window, crc32, compressed_bytes, size_bytes)
            self._position += descriptor_bytes
            agrees = descriptor_bytes > 0
        else:
            announced = (header.crc32, header.compressed_bytes, header.size_bytes)
            agrees = announced == (crc32, compressed_bytes, size_bytes)
        if not agrees:
            came = f"CRC-32 {crc32:08x}, {size_bytes:,} bytes out of {compressed_bytes:,}"
            raise CorruptZipError(f"{member} contradicts the ZIP: received {came}")
        self._total_bytes += size_bytes
        self._members.append(ZipMember(header.name, size_bytes, compressed_bytes, crc32, header.method, offset))
        yield MemberEnded(size_bytes, crc32)

    def _inflate(self, member: str) -> Generator[ZipEvent | None, None, tuple[int, int]]:
        """Inflate to the end of the deflate stream: nothing else marks the end of a member with a descriptor."""
        inflater = igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_DEFLATE)
        room_bytes = self._room_bytes()
        size_bytes = crc32 = packed_bytes = 0
        while not inflater.eof:
            compressed: bytes | memoryview = b""
            if inflater.needs_input:
                yield from self._need(1)
                compressed = memoryview(self._buffer)[self._position : self._position + _INFLATE_INPUT_BYTES]
                self._position += len(compressed)
                packed_bytes += len(compressed)
                if packed_bytes > room_bytes + room_bytes // 8 + _PACKED_MARGIN_BYTES:
                    raise UnsafeMemberError(f"{member} continues without content")
            try:
                data = inflater.decompress(compressed, _INFLATE_OUTPUT_BYTES)
            except _InflateError as error:
                raise CorruptZipError(f"{member} cannot be decompressed: {error}") from error
            if data:
                size_bytes += len(data)
                if size_bytes > room_bytes:
                    raise self._too_large(member)
                crc32 = crc32_of(data, crc32)
                yield MemberData(data)
        self._unread(inflater.unused_data)
        return size_bytes, crc32

    def _copy(self, member: str, size_bytes: int) -> Generator[ZipEvent | None, None, tuple[int, int]]:
        """Yield the bytes of a stored member."""
        if size_bytes > self._room_bytes():
            raise self._too_large(member)
        crc32, missing_bytes = 0, size_bytes
        while missing_bytes:
            yield from self._need(1)
            data = self._buffer[self._position : self._position + missing_bytes]
            self._position += len(data)
            missing_bytes -= len(data)
            crc32 = crc32_of(data, crc32)
            yield MemberData(data)
        return size_bytes, crc32

    def _unread(self, unused: bytes) -> None:
        """Return input that the inflater did not use; part of it may belong to the previous chunk."""
        if len(unused) <= self._position:
            self._position -= len(unused)
        else:
            self._buffer = unused + self._buffer[self._position :]
            self._position = 0

    def _room_bytes(self) -> int:
        """The maximum size of the next member."""
        return min(self._limits.member_bytes, self._limits.total_bytes - self._total_bytes)

    def _too_large(self, member: str) -> UnsafeMemberError:
        ceiling = f"{self._limits.member_bytes:,} bytes in one member, {self._limits.total_bytes:,} in all"
        return UnsafeMemberError(f"{member} inflates to more than is allowed ({ceiling})")

    def _read_directory(self, signature: bytes) -> Generator[None, None, None]:
        """Compare the central directory with the members that were read, in the order of their offsets."""
        offset = self._offset
        while signature == records.CENTRAL_SIGNATURE:
            yield from self._need(records.CENTRAL_BYTES)
            header_bytes = records.central_header_bytes(self._buffer, self._position)
            yield from self._need(header_bytes)
            ordinal = self._listed + 1
            listed = records.parse_central_header(self._buffer, self._position, f"member {ordinal} of the central directory")
            if ordinal > len(self._members):
                raise CorruptZipError(f"the central directory lists a member {ordinal} that was not received")
            came = self._members[self._listed]
            if listed != came:
                raise CorruptZipError(f"the central directory contradicts member {ordinal}: {_differences(listed, came)}")
            self._listed = ordinal
            self._position += header_bytes
            signature = yield from self._signature()
        if self._listed < len(self._members):
            raise CorruptZipError(f"the central directory lists {self._listed} members, {len(self._members)} came")
        self._stage = _Stage.END_RECORD
        true = records.DirectoryExtent(self._listed, self._offset - offset, offset)
        yield from self._read_end(signature, true)

    def _read_end(self, signature: bytes, true: records.DirectoryExtent) -> Generator[None, None, None]:
        has_zip64 = signature == records.ZIP64_END_SIGNATURE
        if has_zip64:
            yield from self._read_zip64_end(true)
            signature = yield from self._signature()
        if signature != records.END_SIGNATURE:
            raise self._no_record()
        yield from self._need(records.END_BYTES)
        comment_bytes = records.check_end(self._buffer, self._position, true, has_zip64=has_zip64)
        yield from self._need(records.END_BYTES + comment_bytes)
        self._position += records.END_BYTES + comment_bytes

    def _read_zip64_end(self, true: records.DirectoryExtent) -> Generator[None, None, None]:
        offset = self._offset
        yield from self._need(records.ZIP64_END_BYTES)
        end_bytes = records.zip64_end_bytes(self._buffer, self._position)
        if not records.ZIP64_END_BYTES <= end_bytes <= _ZIP64_END_BYTES_MAX:
            raise CorruptZipError(f"the ZIP64 end record at byte {offset:,} claims {end_bytes:,} bytes")
        records.check_zip64_end(self._buffer, self._position, true)
        yield from self._need(end_bytes + records.ZIP64_LOCATOR_BYTES)
        self._position += end_bytes
        records.check_zip64_locator(self._buffer, self._position, offset)
        self._position += records.ZIP64_LOCATOR_BYTES


def _differences(listed: ZipMember, came: ZipMember) -> str:
    names = [field.name for field in fields(ZipMember) if getattr(listed, field.name) != getattr(came, field.name)]
    return ", ".join(f"{name} is {getattr(listed, name)!r} there and {getattr(came, name)!r} here" for name in names)
