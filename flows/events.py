"""What flows tell Prefect, for its automations to act on."""

from prefect.events import emit_event

from wafergate.domain.drift import DriftReport, DriftVerdict

__all__ = ["DRIFTED", "line_resource", "tell_drift"]

DRIFTED = "wafergate.drifted"
"""The event of a window that drifted; its payload names the `report`."""


def line_resource(line: str) -> str:
    """Return the id under which events speak of a line."""
    return f"wafergate.line.{line}"


def tell_drift(report: DriftReport) -> bool:
    """Tell of a window that drifted; return whether it had."""
    if report.verdict is not DriftVerdict.DRIFTED:
        return False
    resource = {"prefect.resource.id": line_resource(report.line), "prefect.resource.name": report.line}
    emit_event(DRIFTED, resource=resource, payload={"report": report.id, "line": report.line})
    return True
