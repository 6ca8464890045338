"""The frame of the self-contained HTML pages: one style, every text escaped, nothing fetched from elsewhere."""

from collections.abc import Callable, Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined

from wafergate.domain.gate import Verdict

__all__ = ["render_page", "summary_sentence"]


def render_page(template: str, filters: Mapping[str, Callable[..., object]], **values: object) -> bytes:
    """Return a page as UTF-8; the same values give the same bytes.

    Args:
        template: file in `templates/`.
        filters: what the template calls by name beside Jinja's own.
        values: what it shows; every text among them is escaped unless it is marked as safe.
    """
    environment = Environment(
        loader=PackageLoader("wafergate.formats", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return environment.get_template(template).render(**values).encode()


def summary_sentence(summary: str, verdict: Verdict) -> str:
    """Return a decision's summary as a sentence that stands beside the verdict's own word."""
    told = summary.removeprefix(f"{verdict.value}: ")
    return f"{told[:1].upper()}{told[1:]}."
