"""The weekly report by itself: the seven days before the one it is planned for, once, through the alert channels."""

from datetime import date, timedelta
from typing import Literal

from prefect import flow, runtime, task

from flows.opening import begin, by_hand, is_transient, run_name, tell_failure
from flows.parameters import LinePath
from flows.release import send_alerts
from flows.telling import say
from wafergate.domain.weekly import Week
from wafergate.jobs import weekly as job
from wafergate.line import LineFile
from wafergate.wiring import open_parts, page_printer

__all__ = ["weekly"]


@task(retries=2, retry_delay_seconds=[2, 10], retry_condition_fn=is_transient)
def write_week(line: LineFile, week: Week, language: str) -> str:
    """Write the page about a week and put it into the outbox."""
    outcome = job.weekly(open_parts(), line, week, language=language, print_page=page_printer())
    say(f"week to {week.last_day}: {outcome.id}" + (" (known)" if outcome.reused else ""))
    return outcome.id


@flow(flow_run_name=run_name, on_failure=[tell_failure])
def weekly(line: LinePath, language: Literal["", "en", "ko"] = "", until: date | None = None) -> str:
    """Write the page about seven days and send it, once; return its id.

    Args:
        line: path of the line file.
        language: of the page; else as the line file says.
        until: last of the seven days; else the day before the one it was planned for, however late it runs.
    """
    loaded = begin("weekly", line, {"language": language, "until": until.isoformat() if until else ""})
    zone = loaded.schedule.zone
    planned = runtime.flow_run.scheduled_start_time.astimezone(zone).date()
    week = Week.ending(until or planned - timedelta(days=1), zone)
    report = write_week(loaded, week, language or loaded.schedule.language)
    send_alerts(loaded)
    return report


if __name__ == "__main__":
    by_hand("weekly")
