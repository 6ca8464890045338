"""`wafergate licences`: what a line's policy says of every candidate, and why."""

from collections.abc import Sequence
from typing import Annotated

import typer

from wafergate.cli.opening import ready
from wafergate.cli.options import Line
from wafergate.line import load_line

__all__ = ["app"]

app = typer.Typer()


@app.command()
def licences(
    line: Line, model: Annotated[str, typer.Option("--model", help="Explain one candidate in full.")] = ""
) -> None:
    """Say which candidates the licence policy lets train and promote.

    Example: wafergate licences --line line.toml --model yolo11n
    """
    from wafergate.domain.licences import explain_licence, may_be_used
    from wafergate.domain.models import known_code_licence
    from wafergate.errors import ConfigError
    from wafergate.jobs.licences import licensed_parts
    from wafergate.jobs.training_job import find_weights
    from wafergate.jobs.weights import known_candidates, licence_of
    from wafergate.terminal import console, pairs, paragraph, table

    line_file, parts = load_line(line), ready()
    today, known = parts.clock().date(), known_candidates(parts, line_file)
    if model and model not in known:
        message = f"--model must be one of {', '.join(sorted(known))}; found {model!r}"
        raise ConfigError(message)
    cells = []
    for name in [model] if model else known:
        one = known[name]
        try:
            stated = licence_of(parts.facts, find_weights(parts, line_file, one)[1])
        except ConfigError as error:
            if model:
                raise
            cells.append((name, one.code_licence, str(error), "no"))
            continue
        said = licensed_parts(parts.catalogue, line_file, one, from_weights=True, weights_licence=stated or None)
        verdict, blamed = may_be_used(said, line_file.licences, today=today)
        named = {p.subject: p.licence or "not named" for p in said}
        cells.append((name, named["code"], named["weights"], verdict))
        if model:
            texts = [(p.subject, explain_licence(p.licence, line_file.licences, today=today)) for p in said]
            texts.append(("written", one.licence_source or "nowhere in the catalogue"))
            if named["code"] != one.code_licence:
                known_as = known_code_licence(parts.catalogue, one)
                texts.append(("catalogue", f"{one.backend} {one.architecture} is under {known_as}, whatever names it"))
            console().print(pairs(texts))
            typer.echo(paragraph(_cure(verdict, blamed)))
    if not model:
        console().print(table(("candidate", "code", "weights", "may be used"), cells))
        typer.echo(f"images: {explain_licence(line_file.intake.licence, line_file.licences, today=today)}")
        typer.echo("why, and what would change it: wafergate licences --line … --model NAME")


def _cure(verdict: str, against: Sequence[str]) -> str:
    if verdict == "yes":
        return "it may be trained and promoted"
    *most, last = against
    held = f"{', '.join(most)} and {last}" if most else last
    fate = "it is not trained" if verdict == "no" else "it may be trained and is never promoted"
    start = "; from random weights the licence of weights does not count" if "weights" in against else ""
    return (
        f"{fate} because of its {held}{start}. To change that: add the licence to [licences] allowed, or accept it for "
        'a time: [licences.exceptions] "SPDX-ID" = { who = "…", why = "…", until = 2027-06-30 }'
    )
