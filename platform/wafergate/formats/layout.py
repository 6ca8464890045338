"""What the names in a source tell: images, golden references, metadata; shared by all readers."""

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain, groupby, islice
from operator import itemgetter

from wafergate.domain.quarantine import Unlabelled
from wafergate.domain.samples import QuarantineReason, RawSample, Reading
from wafergate.errors import SourceError
from wafergate.formats.header import IMAGE_SUFFIXES
from wafergate.formats.metadata import METADATA_NAME, MetadataTable, Problem, from_name, parse_table
from wafergate.formats.options import ReadOptions
from wafergate.formats.spooled import spooled
from wafergate.formats.storable import showable
from wafergate.ports import Source
from wafergate.spool import Spool

__all__ = ["Layout", "Problem", "examples", "inside", "stem_of", "swap_folder"]


def examples(items: Iterable[object], *, most: int = 3) -> str:
    """Return the first few items as text, and how many more there are."""
    rest = iter(items)
    first = ", ".join(str(item) for item in islice(rest, most))
    left = sum(1 for _ in rest)
    return f"{first} and {left} more" if left else first


def inside(folder: str, path: str) -> str | None:
    """Return `path`, taken from `folder`, relative to the source's root; None when it leads outside."""
    if path.startswith("/") or "\\" in path or path[1:2] == ":":
        return None
    joined = posixpath.normpath(posixpath.join(folder, path))
    return None if joined == ".." or joined.startswith("../") else joined


def stem_of(name: str) -> str:
    """Return a path without its suffix."""
    return posixpath.splitext(name)[0]


def swap_folder(name: str, old: Sequence[str], new: str) -> str | None:
    """Return a path with its last folder of a name in `old` (any case) renamed; None when it has none.

    An empty `new` takes the folder out.
    """
    *folders, file = name.split("/")
    for place in range(len(folders) - 1, -1, -1):
        if folders[place].lower() in old:
            return "/".join([*folders[:place], *([new] if new else []), *folders[place + 1 :], file])
    return None


class Layout:
    """A source seen by its names, which lie on disk.

    Attributes:
        source: where it all lies.
        options: of the line.
        names: every file, sorted.
    """

    def __init__(self, source: Source, options: ReadOptions) -> None:
        self.source = source
        self.options = options
        self.names = Spool(source.names(), key=str, ordered=True)
        self._pattern = re.compile(options.pattern) if options.pattern else None
        self._table = self._read_table()
        found = ((name, self._reference_of(name)) for name in self._pictures())
        self._references = Spool(((name, golden) for name, golden in found if golden), key=itemgetter(0))
        self._golden = Spool((reference for _, reference in self._references), key=str)

    def _read_table(self) -> MetadataTable:
        if METADATA_NAME not in self.names:
            return MetadataTable()
        with self.source.open(METADATA_NAME) as file:
            return parse_table(file)

    @property
    def images(self) -> Iterator[str]:
        """Yield the image files that are no golden reference of another, sorted."""
        return (name for name in self._pictures() if name not in self._golden)

    def _pictures(self) -> Iterator[str]:
        return self.with_suffix(*IMAGE_SUFFIXES)

    @cached_property
    def _same_file(self) -> Spool[str]:
        return Spool(self._pictures(), key=posixpath.basename)

    @cached_property
    def _by_file(self) -> Spool[str]:
        return Spool(self.images, key=posixpath.basename)

    @cached_property
    def _in_lower_case(self) -> Spool[str]:
        return Spool(self.names, key=str.lower)

    @cached_property
    def _by_stem(self) -> Spool[str]:
        return Spool(self.images, key=stem_of)

    def _row(self, image: str) -> tuple[str, Mapping[str, str]]:
        """Return an image's key in the metadata table and its row: by path, else by a file name no other has."""
        if not self._table.rows:
            return "", {}
        file = posixpath.basename(image)
        for key in (image, file) if self._same_file.is_single(file) else (image,):
            row = self._table.rows.get(key)
            if row:
                return row
        return "", {}

    def _wanted_reference(self, name: str) -> str | None:
        """Return the path the metadata table, or else the template, gives as a golden reference."""
        named = self._row(name)[1].get("reference")
        if named:
            return inside("", named)
        if not self.options.reference:
            return None
        folder, file = posixpath.split(name)
        stem, suffix = posixpath.splitext(file)
        path = self.options.reference.format(folder=folder or ".", stem=stem, suffix=suffix)
        return inside("", path)

    def _reference_of(self, name: str) -> str | None:
        wanted = self._wanted_reference(name)
        return wanted if wanted in self.names and wanted != name else None

    def is_released(self, name: str, reason: QuarantineReason) -> bool:
        """Tell whether a person let a file in although this reason speaks against it."""
        return (name, reason) in self.options.released

    def is_normal(self, image: str, *, by_format: bool = False, sure: bool = True) -> bool:
        """Tell whether an image without a label file enters as one without defect.

        Args:
            image: its name.
            by_format: whether the format says so of this one.
            sure: whether no label file of the source is damaged that might have been this image's.
        """
        if self.is_released(image, QuarantineReason.IMAGE_WITHOUT_LABEL):
            return True
        if self.options.unlabelled is Unlabelled.FORMAT:
            return by_format
        return sure and self.options.unlabelled is Unlabelled.NORMAL

    def shown_name(self, image: str) -> str:
        """Return the name whose suffix the content is held against; empty once a person let the image in."""
        return "" if self.is_released(image, QuarantineReason.WRONG_SUFFIX) else image

    def require_images(self, what: str) -> None:
        """Raise SourceError where there is no image at all; `what` names the format."""
        if next(self.images, None) is None:
            kinds = ", ".join(sorted(IMAGE_SUFFIXES))
            found = examples(self.names) or "no files"
            message = f"{what} needs images ({kinds}); {self.source.title} holds {len(self.names)} files: {found}"
            raise SourceError(message)

    def with_suffix(self, *suffixes: str) -> Iterator[str]:
        """Yield the files whose names end so (lower case), sorted."""
        return (name for name in self.names if posixpath.splitext(name)[1].lower() in suffixes)

    def files_like(self, path: str) -> Sequence[str]:
        """List the files that a path may mean: the one of this very name, else those that differ from it in case."""
        return [path] if path in self.names else self._in_lower_case.all_of(path.lower())

    def images_at(self, stem: str) -> Sequence[str]:
        """List the images at a path without suffix."""
        return self._by_stem.all_of(stem)

    def images_called(self, file: str) -> Sequence[str]:
        """List the images of a file name, wherever they lie."""
        return self._by_file.all_of(file)

    def reading(self, samples: Iterable[RawSample], problems: Iterable[Problem]) -> Reading:
        """Complete samples with golden references and metadata; what the source refused is a problem too.

        Problems are asked for once the last sample has been read, which may add to them.
        """
        found = spooled(map(self._complete, samples), ordered=True)
        refused = ((name, QuarantineReason.UNSAFE_PATH, why) for name, why in self.source.unsafe())
        everything = chain(problems, refused, self._table.problems, self._table_problems())
        return Reading(found, _merged(everything))

    def _complete(self, sample: RawSample) -> RawSample:
        told = from_name(self._pattern, sample.name) if self._pattern else {}
        key, cells = self._row(sample.name)
        row = {column: value for column, value in cells.items() if column != "reference"}
        found = self._references.get(sample.name)
        reference = found[1] if found else sample.reference
        return replace(
            sample,
            reference=reference,
            metadata={**sample.metadata, **told, **row},
            has_row=bool(key) or not self._table.can_tell,
        )

    def _table_problems(self) -> Iterator[Problem]:
        if not self._table.rows:
            return
        used = Spool((self._row(name)[0] for name in chain(self.images, self._golden)), key=str)
        left = Spool(name for name, _ in self._table.rows if name not in used)
        if left:
            detail = f"{len(left)} rows name no image of the source, or more than one: {examples(left)}"
            yield METADATA_NAME, QuarantineReason.LABEL_WITHOUT_IMAGE, detail
        for name in self.images:
            named = self._row(name)[1].get("reference")
            if named and self._references.get(name) is None:
                detail = f"{METADATA_NAME} names it as the golden reference of {name}, and it is not in the source"
                yield named, QuarantineReason.MISSING_IMAGE, detail


def _merged(problems: Iterable[Problem]) -> Collection[Problem]:
    """Return one problem for each path and reason, sorted: a path is set aside once, whatever is wrong with it."""
    told = Spool(problems, key=lambda problem: f"{problem[0]}\0{problem[1]}", ordered=True)
    merged: Spool[Problem] = Spool()
    for (path, reason), group in groupby(told, key=itemgetter(0, 1)):
        details = list(dict.fromkeys(detail for _, _, detail in group))
        more = f"; and {len(details) - 3} more" if len(details) > 3 else ""
        merged.append((showable(path), reason, showable("; ".join(details[:3]) + more)))
    return merged
