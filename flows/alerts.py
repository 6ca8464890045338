"""The outbox at regular times: what a channel did not take, and what waited for the end of a window."""

from prefect import flow, runtime

from flows.opening import by_hand, line_or_last, run_name
from flows.release import send_alerts
from wafergate.wiring import open_parts

__all__ = ["alerts"]


# It keeps no row of its runs, of which there are hundreds a day, and raises no alert of its own when it fails: that
# would wait in the very outbox that could not be emptied, one more at every run.
@flow(flow_run_name=run_name)
def alerts(line: str) -> int:
    """Send what waits for a line and is due; return how many alerts still wait.

    Args:
        line: path of the line file.
    """
    return send_alerts(line_or_last(open_parts(), line, runtime.flow_run.tags))


if __name__ == "__main__":
    by_hand("alerts")
