"""Which class each of YOLO's numbers means, as the files of a source say; what they leave open is never guessed."""

import posixpath
from collections.abc import Iterable, Mapping
from functools import partial

import yaml  # type: ignore[import-untyped]

from wafergate.domain.samples import QuarantineReason
from wafergate.errors import SourceError
from wafergate.formats.layout import Layout, Problem, examples
from wafergate.spool import Spool

__all__ = ["class_names"]

Names = Mapping[int, str]

_DATA = frozenset({"data.yaml", "dataset.yaml", "data.yml", "dataset.yml"})
_WANTED = "names: [scratch, stain] or names: {0: scratch, 1: stain}"
_NO_YAML = (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError)
"""What PyYAML raises on a file that it cannot read."""


def _number(key: object) -> int | None:
    if isinstance(key, str) and key.isascii() and key.isdecimal():
        return int(key)
    return key if isinstance(key, int) and not isinstance(key, bool) else None


def _is_name(value: object) -> bool:
    return isinstance(value, (str, int, float))


def _names_in(document: object, file: str) -> Names | None:
    """Return the names of a yaml; None where it has none.

    Raises:
        SourceError: it has names that cannot be used.
    """
    if not isinstance(document, dict) or "names" not in document:
        return None
    names = document["names"]
    listed = dict(enumerate(names)) if isinstance(names, list) else names
    pairs = list(listed.items()) if isinstance(listed, dict) else []
    found = {number: str(name) for key, name in pairs if _is_name(name) and (number := _number(key)) is not None}
    if not isinstance(listed, dict) or len(found) != len(pairs):
        message = f"YOLO needs class names such as {_WANTED}; {file} has names: {str(names)[:80]!r}"
        raise SourceError(message)
    return found


def _load(layout: Layout, file: str) -> object:
    """Read a yaml; raises SourceError where it is none."""
    try:
        return yaml.safe_load(layout.source.read(file))
    except _NO_YAML as error:
        message = f"it is not YAML ({' '.join(str(error).split())})"
        raise SourceError(message) from error


def _of_data_yaml(layout: Layout, file: str) -> Names | None:
    try:
        document = _load(layout, file)
    except SourceError as error:
        message = f"YOLO needs class names such as {_WANTED}; {file} cannot be read: {error}"
        raise SourceError(message) from error
    return _names_in(document, file)


def _of_other_yaml(layout: Layout, problems: Spool[Problem], file: str) -> Names | None:
    try:
        document = _load(layout, file)
    except SourceError as error:
        problems.append((file, QuarantineReason.UNREADABLE_LABEL, str(error)))
        return None
    return _names_in(document, file)


def _of_lines(layout: Layout, file: str) -> Names:
    try:
        text = layout.source.read(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"YOLO needs class names in UTF-8, one a line; {file} holds others ({error})"
        raise SourceError(message) from error
    lines = [line.strip() for line in text.rstrip().splitlines()]
    if "" in lines:
        message = f"YOLO needs one class name a line; line {lines.index('') + 1} of {file} is empty, and names follow"
        raise SourceError(message)
    return dict(enumerate(lines))


def _agreed(found: Iterable[tuple[str, Names | None]]) -> Names | None:
    """Return what the files say; None where none of them names classes.

    Raises:
        SourceError: two of them say different things.
    """
    named = [(file, names) for file, names in found if names is not None]
    for file, names in named[1:]:
        if names != named[0][1]:
            message = (
                f"YOLO needs one list of class names; {named[0][0]} has {examples(named[0][1].values())}, {file} has "
                f"{examples(names.values())}: read the folders one by one, or make the lists the same"
            )
            raise SourceError(message)
    return named[0][1] if named else None


def class_names(layout: Layout, problems: Spool[Problem]) -> Names:
    """Return class names by number: from data.yaml or dataset.yaml, else any yaml with `names`, else lines of text.

    Files of the kind that is used must agree. The options count only where no file names classes.

    Args:
        layout: the source.
        problems: told of a yaml of another name that cannot be read.

    Raises:
        SourceError: there are no names, some cannot be read or used, or two files differ.
    """
    files = list(layout.with_suffix(".yaml", ".yml"))
    data = [file for file in files if posixpath.basename(file).lower() in _DATA]
    lists = [name for name in layout.with_suffix(".txt", ".names") if _lists_names(name)]
    of_other, unread = partial(_of_other_yaml, layout, problems), len(problems)
    kinds = (
        ((file, _of_data_yaml(layout, file)) for file in data),
        ((file, of_other(file)) for file in files if file not in data),
        ((file, _of_lines(layout, file)) for file in lists),
    )
    for kind in kinds:
        names = _agreed(kind)
        if names is not None:
            return names
    if layout.options.classes and not data and len(problems) == unread:
        return dict(enumerate(layout.options.classes))
    message = (
        f"YOLO needs class names in data.yaml (names) or classes.txt; {layout.source.title} holds "
        f"{examples(files) or 'neither'}"
    )
    raise SourceError(message)


def _lists_names(name: str) -> bool:
    file = posixpath.basename(name).lower()
    return file == "classes.txt" or file.endswith(".names")
