"""The tables of a page that ran without a browser."""

from typing import Any

import pandas as pd


def tables_of(page: Any) -> list[pd.DataFrame]:
    """Return every table that stands among the Markdown of a page of `AppTest`, cells as Markdown."""
    tables = []
    for element in page.markdown:
        lines = [line for line in element.value.splitlines() if line.startswith("| ")]
        if lines:
            head, _, *rows = (line.removeprefix("| ").removesuffix(" |").split(" | ") for line in lines)
            tables.append(pd.DataFrame(rows, columns=head))
    return tables
