"""What every forked command would import first."""

from importlib import import_module

for name in (
    "great_expectations",  # takes seconds and is imported only where it is used
    "flows.deployments",
    "flows.inspect_lot",
    "flows.release",
    "flows.retrain",
    "flows.watch",
    "wafergate.cli",
):
    import_module(name)
