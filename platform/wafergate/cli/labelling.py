"""Folders that go to a labelling tool and come back, for the commands that hand them out."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from wafergate.domain.words import counted
from wafergate.errors import ConfigError

if TYPE_CHECKING:  # a command's help must not wait for pandas
    from wafergate.domain.changes import Changes

__all__ = ["annotations", "require_empty", "show_changes", "write_file"]

_SHOWN = 40


def require_empty(folder: Path) -> None:
    """Refuse a folder that holds something.

    Raises:
        ConfigError: it does, or cannot be opened.
    """
    try:
        taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    except OSError as error:
        message = f"--to {folder} cannot be opened ({error.strerror})"
        raise ConfigError(message) from error
    if taken:
        message = f"--to {folder} must be a new or empty folder; found something there, and it stays as it is"
        raise ConfigError(message)


def write_file(file: Path, data: bytes) -> None:
    """Write a file and the folders it lies in.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    except OSError as error:
        message = f"{file} cannot be written ({error.strerror}): name another folder with --to"
        raise ConfigError(message) from error


def show_changes(changes: "Changes") -> None:
    """Print what differs, box by box, and how much in all."""
    from wafergate.terminal import console, table

    rows = [(image.name, str(box)) for image in changes.images for box in image.boxes]
    if rows:
        console().print(table(("image", "change"), rows[:_SHOWN]))
        if len(rows) > _SHOWN:
            typer.echo(f"… and {len(rows) - _SHOWN} more changes")
        counts = ", ".join(f"{count} {kind.value}" for kind, count in changes.box_counts.items() if count)
        typer.echo(f"{counted(len(changes.images), 'changed image')}: {counts}; unchanged: {changes.unchanged}")


def annotations(path: Path, manifest: str, key: str) -> tuple[dict[str, bytes], str]:
    """Return the JSON files of what came back, and what it was exported from where its manifest says so.

    A single file says so by the exported folder that it still lies in.

    Args:
        path: a folder, a COCO .json or an archive.
        manifest: name of the JSON file that tells what was exported; it is no label.
        key: which of its values is wanted.

    Returns:
        File path to content, and the value; empty where there is no manifest.

    Raises:
        ConfigError: it cannot be read, or the manifest tells nothing.
    """
    from wafergate.adapters.source import open_source

    try:
        if path.is_file() and path.suffix.lower() == ".json":
            beside = [file for file in (path.parent / manifest, path.parent.parent / manifest) if file.is_file()]
            said = _said(beside[0].read_bytes(), path, manifest, key) if beside else ""
            return {path.name: path.read_bytes()}, said
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror})"
        raise ConfigError(message) from error
    source = open_source(path)
    files = {name: source.read(name) for name in source.names() if name.lower().endswith(".json")}
    return files, _said(files.pop(manifest), path, manifest, key) if manifest in files else ""


def _said(data: bytes, path: Path, manifest: str, key: str) -> str:
    try:
        return str(json.loads(data)[key])
    except (ValueError, KeyError, TypeError) as error:
        message = (
            f"{manifest} of {path} does not say what was exported (its {key!r}); take the file that was written with "
            "the export, or remove it and name what was exported by an option"
        )
        raise ConfigError(message) from error
