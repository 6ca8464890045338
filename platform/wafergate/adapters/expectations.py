"""Great Expectations: the validation suite of a dataset version, built from the limits of the line file."""

import html
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from wafergate.domain.validation import Check
from wafergate.domain.validation_rows import ValidationFinding
from wafergate.errors import ServiceError
from wafergate.ports import SuiteOutcome
from wafergate.stages.expect import checks, names_of
from wafergate.stages.validate import class_table, group_table

__all__ = ["GreatExpectationsValidator", "data_docs"]

EXAMPLES = 5

# File and class names end up in the page: the policy lets no script of theirs run and nothing be loaded.
_HEAD = """<meta charset="utf-8"><title>{title}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
:root {{ color-scheme: light dark }}
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; margin: .5rem 0 }}
td, th {{ border: 1px solid #8888; padding: .25rem .6rem; text-align: left }}
.show-scrollbars {{ overflow: auto }}
a {{ color: inherit; pointer-events: none; text-decoration: none }}
[data-toggle=collapse] {{ display: none }}
.fa-check-circle::before {{ content: "\\2713 held" }}
.fa-times::before {{ content: "\\2717 failed" }}
.fa-exclamation-triangle::before {{ content: "broke" }}
</style>"""
_ANCHOR = re.compile(r"(?<=collapse-body-)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FOREIGN = re.compile(
    r"<script.*?</script>|<nav.*?</nav>|<footer.*?</footer>|<link[^>]*>|<img[^>]*>|<style.*?</style>", re.DOTALL
)


class GreatExpectationsValidator:
    """Runs the suite in an ephemeral context: nothing on disk, nothing sent, no progress bars."""

    def __call__(
        self, images: pd.DataFrame, boxes: pd.DataFrame, *, limits: Mapping[str, object], title: str = "Validation"
    ) -> SuiteOutcome:
        """Validate the tables of a dataset version.

        Args:
            images: as `stages.validate.image_table` returns it.
            boxes: as `stages.validate.box_table` returns it; may be empty.
            limits: as `stages.expect.suite_limits` returns them.
            title: stands over the Data Docs.

        Returns:
            One finding for each check, errors first in the order of the suite; the report, JSON with the limits and
            Great Expectations' own result of each table; and the report as Data Docs.

        Raises:
            ConfigError: a limit is missing or is not what it should be.
            ServiceError: an expectation itself broke; that is not a finding about the data.
        """
        wanted = checks(limits)
        tables = {
            "images": images,
            "boxes": boxes,
            "classes": class_table(boxes, images, names_of(limits, "classes")),
            "groups": group_table(images),
        }
        findings: dict[str, ValidationFinding] = {}
        report: dict[str, Any] = {"limits": dict(limits), "tables": {}}
        context = _context()
        for name, table in tables.items():
            of_table = [check for check in wanted if check.table == name]
            if not of_table:
                continue
            result = _run(context, name, table, of_table)
            report["tables"][name] = result
            findings |= _findings(of_table, result, rows=len(table))
        ordered = sorted((findings[check.name] for check in wanted), key=lambda finding: finding.severity != "error")
        written = json.dumps(report, sort_keys=True, allow_nan=False).encode()
        return SuiteOutcome(ordered, written, data_docs(written, ordered, title=title))


def _context() -> Any:
    import great_expectations as gx
    from great_expectations.data_context.types import base

    config = base.DataContextConfig(
        store_backend_defaults=base.InMemoryStoreBackendDefaults(),
        progress_bars=base.ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
    return gx.get_context(mode="ephemeral", project_config=config)


def _expectation(check: Check) -> Any:
    import great_expectations.expectations as gxe

    # Great Expectations knows critical, warning and info; `critical` is our `error`.
    shared: dict[str, Any] = {
        "severity": "critical" if check.severity == "error" else "warning",
        "meta": {"name": check.name, "requirement": check.requirement},
    }
    bounds = {"min_value": check.low, "max_value": check.high}
    strict = {
        "strict_min": check.strict and check.low is not None,
        "strict_max": check.strict and check.high is not None,
    }
    match check.kind:
        case "rows":
            return gxe.ExpectTableRowCountToBeBetween(**bounds, **shared)
        case "mean":
            return gxe.ExpectColumnMeanToBeBetween(column=check.column, **bounds, **strict, **shared)
        case "unique":
            return gxe.ExpectColumnValuesToBeUnique(column=check.column, **shared)
        case "in_set":
            return gxe.ExpectColumnValuesToBeInSet(column=check.column, value_set=list(check.allowed), **shared)
        case _:
            return gxe.ExpectColumnValuesToBeBetween(column=check.column, **bounds, **strict, **shared)


def _run(context: Any, name: str, table: pd.DataFrame, wanted: Sequence[Check]) -> dict[str, Any]:
    import great_expectations as gx
    from great_expectations.exceptions import GreatExpectationsError

    try:
        asset = context.data_sources.add_pandas(name).add_dataframe_asset(name)
        batch = asset.add_batch_definition_whole_dataframe("all")
        expectations = [_expectation(check) for check in wanted]
        suite = context.suites.add(gx.ExpectationSuite(name=name, expectations=expectations))
        definition = gx.ValidationDefinition(name=name, data=batch, suite=suite)
        # SUMMARY names examples by their column and stays small; COMPLETE lists every unexpected row.
        result = context.validation_definitions.add(definition).run(
            batch_parameters={"dataframe": table},
            result_format={
                "result_format": "SUMMARY",
                "unexpected_index_column_names": ["example"],
                "partial_unexpected_count": EXAMPLES,
            },
        )
    except (GreatExpectationsError, ValueError, TypeError, KeyError) as error:
        message = f"the validation suite over {name} could not run: {error}"
        raise ServiceError(message) from error
    return _stable(result.to_json_dict())


def _stable(document: dict[str, Any]) -> dict[str, Any]:
    """Take out what changes from run to run (times, random ids), so that equal tables give equal reports."""
    version = document["meta"].get("great_expectations_version")
    for item in document["results"]:
        item["expectation_config"].pop("id", None)
    document["results"].sort(key=lambda item: str(item["expectation_config"]["meta"]["name"]))
    return {
        **{key: value for key, value in document.items() if key != "id"},
        "meta": {"great_expectations_version": version},
    }


def _findings(wanted: Sequence[Check], result: Mapping[str, Any], *, rows: int) -> dict[str, ValidationFinding]:
    by_name = {item["expectation_config"]["meta"]["name"]: item for item in result["results"]}
    found = {}
    for check in wanted:
        item = by_name[check.name]
        broken = _exception(item["exception_info"])
        if broken is not None:
            message = (
                f"the expectation {check.name} over {check.table} broke, which tells nothing of the data: {broken}"
            )
            raise ServiceError(message)
        found[check.name] = _finding(check, item, rows)
    return found


def _exception(info: Mapping[str, Any]) -> str | None:
    """Return what an expectation raised, if it did.

    Great Expectations puts the details at the top level or below one key for each metric that broke.
    """
    if info.get("raised_exception"):
        return str(info.get("exception_message"))
    for nested in info.values():
        if isinstance(nested, Mapping) and (message := _exception(nested)) is not None:
            return message
    return None


def _finding(check: Check, item: Mapping[str, Any], rows: int) -> ValidationFinding:
    success, result = bool(item["success"]), item["result"]
    examples: tuple[str, ...] = ()
    value = float(result["observed_value"] or 0) if check.kind == "mean" else None
    if check.kind in {"rows", "mean"}:
        checked, unexpected = rows, 0
        seen = f"{rows}" if value is None else f"{value:.1%} of {rows} {check.table}"
    else:
        checked = int(result["element_count"]) - int(result["missing_count"])
        unexpected = int(result["unexpected_count"])
        examples = tuple(str(row["example"]) for row in result.get("partial_unexpected_index_list") or ())[:EXAMPLES]
        seen = f"{unexpected} of {checked} {check.table} differ"
    detail = f"{check.requirement} ({checked} checked)" if success else f"{check.requirement}: {seen}; {check.advice}"
    limits = {"low": check.low, "high": check.high, "value": value}
    return ValidationFinding(check.name, check.severity, success, checked, unexpected, examples, detail, **limits)


def data_docs(report: bytes, findings: Sequence[ValidationFinding] = (), *, title: str = "Validation") -> bytes:
    """Render a report as Great Expectations' Data Docs page, one self-contained HTML file.

    The stock template loads styles, scripts and a logo from content networks; all of these are taken out, so that
    opening the page tells nobody and looks the same without a network.

    Args:
        report: as `GreatExpectationsValidator` returns it.
        findings: listed at the top, with the examples that Great Expectations' own pages leave out.
        title: of the page.

    Raises:
        ServiceError: it cannot be rendered.
    """
    from great_expectations.core.expectation_validation_result import expectationSuiteValidationResultSchema
    from great_expectations.render.renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    parts = [f"<h1>{html.escape(title)}</h1>{_overview(findings)}"]
    try:
        for name, document in json.loads(report)["tables"].items():
            result = expectationSuiteValidationResultSchema.load(document)
            page = DefaultJinjaPageView().render(ValidationResultsPageRenderer().render(result))
            # From the first section on: what stands before are buttons and menus that need the scripts left out.
            body = "".join(page.partition('<div id="section-1"')[1:]).partition("</body>")[0]
            parts.append(f"<h2>{name}</h2>{_FOREIGN.sub('', body)}")
    except (KeyError, TypeError, ValueError) as error:
        message = f"the validation report cannot be shown as Data Docs: {error}"
        raise ServiceError(message) from error
    head = _HEAD.format(title=html.escape(title))
    return _settled(f"<!DOCTYPE html><html><head>{head}</head><body>{''.join(parts)}</body></html>").encode()


def _overview(findings: Sequence[ValidationFinding]) -> str:
    if not findings:
        return ""
    rows = (
        (
            finding.expectation,
            finding.severity,
            "held" if finding.success else "failed",
            finding.checked,
            finding.unexpected,
            finding.detail,
            "; ".join(finding.examples),
        )
        for finding in findings
    )
    heads = ("check", "severity", "result", "checked", "broken", "what holds, or what to do", "examples")
    cells = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{cells}</table>"


def _settled(page: str) -> str:
    """Number the page's random anchors, so that the same report is the same file however often it is rendered."""
    found = {anchor: str(number) for number, anchor in enumerate(dict.fromkeys(_ANCHOR.findall(page)))}
    return _ANCHOR.sub(lambda match: found[match[0]], page)
