"""What every forked command would import first."""

import great_expectations  # noqa: F401 - takes seconds and is imported only where it is used

import flows.deployments
import flows.inspect_lot
import flows.release
import flows.retrain
import flows.watch  # noqa: F401
import wafergate.cli
