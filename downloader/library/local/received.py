"""What one ZIP has brought so far: its images, its few texts, and in which order they came. No disk."""

from collections.abc import Mapping

from downloader.errors import UnsafeMemberError, WrongSeriesError
from downloader.library.local.zip_members import LICENSE_MEMBER, MD5_LIST_MEMBER, TextMember, refuse_unsafe_name
from downloader.model import StagedImage, StagedSeries


class Arrivals:
    """Collects the members of one ZIP, each once."""

    __slots__ = ("_images", "_last_name", "_names", "_texts")

    def __init__(self) -> None:
        self._images: dict[str, StagedImage] = {}
        self._texts: dict[str, bytes] = {}
        self._names: set[str] = set()
        self._last_name = ""

    @property
    def images(self) -> Mapping[str, StagedImage]:
        """The images that came, by SOP Instance UID, in order of arrival."""
        return self._images

    @property
    def license_text(self) -> bytes | None:
        """The licence, where it came."""
        return self._texts.get(LICENSE_MEMBER)

    def begin(self, name: str) -> None:
        """Another member begins.

        Raises:
            UnsafeMemberError: a name that no honest archive sends, or one that was there before.
        """
        refuse_unsafe_name(name)
        if name in self._names:
            # the archive stops before it writes a name twice (docs/archives.md#failed-downloads), so this ZIP is not its work
            raise UnsafeMemberError(f"the ZIP has two members called {name!r}, which no honest archive sends")
        self._names.add(name)
        self._last_name = name

    def add_text(self, member: TextMember) -> None:
        """A text ended."""
        self._texts[member.name] = member.content()

    def refuse_known(self, image: StagedImage) -> None:
        """Raise WrongSeriesError if this image came before."""
        if image.sop_instance_uid in self._images:
            raise WrongSeriesError(f"image {image.sop_instance_uid} came twice", series_instance_uid=image.series_instance_uid)

    def add_image(self, image: StagedImage) -> None:
        """An image ended, which did not come before."""
        self._images[image.sop_instance_uid] = image

    def contents(self) -> StagedSeries:
        """All of it, for the completeness rules. Texts are the only members that are not images."""
        return StagedSeries(
            images=tuple(self._images.values()),
            md5_list=self._texts.get(MD5_LIST_MEMBER),
            md5_list_is_last=self._last_name == MD5_LIST_MEMBER,
            license_text=self.license_text,
            other_members=tuple(self._texts),
        )
