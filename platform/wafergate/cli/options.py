"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from wafergate.cli.opening import ready

__all__ = ["Actor", "AnyFormat", "Format", "Limit", "Line", "LineName", "Person", "Reason", "SourcePath", "Version"]

Line = Annotated[Path, typer.Option("--line", help="The line file (TOML).", show_default=False)]
SourcePath = Annotated[
    str, typer.Option("--source", help="Folder, .zip, .tar or s3://bucket/prefix.", show_default=False)
]
Format = Annotated[str, typer.Option("--format", help="coco, deeppcb, masks, voc or yolo.", show_default=False)]
AnyFormat = Annotated[str, typer.Option("--format", help="images, or coco, deeppcb, masks, voc, yolo.")]
Limit = Annotated[int, typer.Option("--limit", min=0, help="Take this many images, spread evenly; 0 takes all.")]
Actor = Annotated[str, typer.Option("--as", help="Who does it; stands in the ledger.")]


def _named(value: str) -> str:
    """Return a line's name, given the path of its file or the name of a line that something is stored of."""
    if not value:
        return value
    if not value.endswith(".toml") and not Path(value).is_file():
        from wafergate.jobs.lines import require_line

        require_line(ready().facts, value)
        return value
    from wafergate.line import load_line

    return load_line(Path(value)).name


LineName = Annotated[str, typer.Option("--line", help="Name of one line, or its file.", callback=_named)]
Version = Annotated[str, typer.Option("--version", help="Number or id of a dataset version; else the newest.")]


def _words(value: str) -> str:
    if not value.strip():
        message = "needs words: it stands in the ledger for good"
        raise typer.BadParameter(message)
    return value.strip()


Person = Annotated[
    str, typer.Option("--as", help="Who does it; stands in the ledger.", show_default=False, callback=_words)
]
Reason = Annotated[
    str, typer.Option("--reason", help="Why; stands in the ledger.", show_default=False, callback=_words)
]
