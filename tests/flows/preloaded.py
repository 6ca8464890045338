"""What every forked command would import first."""

from importlib import import_module

for name in (
    "great_expectations",  # these two take seconds and are imported only where they are used
    "evidently",
    "flows.deployments",
    "flows.inspect_lot",
    "flows.release",
    "flows.retrain",
    "flows.watch",
    "wafergate.cli",
):
    import_module(name)
