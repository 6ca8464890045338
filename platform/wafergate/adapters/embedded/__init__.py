"""PostgreSQL, S3, Prefect, a worker and the dashboard on one machine, without containers."""

from wafergate.adapters.embedded.dashboard import serve as serve_dashboard
from wafergate.adapters.embedded.stack import StackState, down, status, up
from wafergate.adapters.embedded.state import ServiceStatus

__all__ = ["ServiceStatus", "StackState", "down", "serve_dashboard", "status", "up"]
