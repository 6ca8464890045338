"""Evidently: how far each feature has moved, by an explicit method, and its HTML report."""

import math
import os
import warnings
from typing import Any, Final

import numpy as np
import pandas as pd

from wafergate.domain.drift import DISTANCES, P_VALUES, DriftPolicy
from wafergate.errors import ConfigError, ServiceError

__all__ = ["EvidentlyMeter"]

# Distances: how far two samples of the same images lie apart depends on how many they are: with `wasserstein` at 0.3 on
# any of six features, 0 of 400 clean windows of half a real set (DeepPCB, magnetic tiles) passed for drift, but 43 % of
# those of 30 images against the rest. For windows of thousands, where a p-value calls the least difference significant.
#
# P-values: left out on purpose, as they are in Evidently 0.7.23: `mannw` tests one direction only, `cramer_von_mises`
# calls two equal constants different, `empirical_mmd` permutes with an unseeded generator, `es` and `anderson` refuse
# constants, `t_test` sees means alone, and `ed` depends on the feature's unit, which one threshold cannot serve.

LARGEST_RATE: Final = 0.05
MIN_ROWS: Final = 2


class EvidentlyMeter:
    """Measures each column with the policy's one method; nothing leaves the machine."""

    def __call__(self, reference: pd.DataFrame, current: pd.DataFrame, policy: DriftPolicy) -> dict[str, float]:
        """Measure every column of `reference` against the same column of `current`.

        Missing and infinite values are left out, column by column. A constant column is measured like any other: the
        same constant on both sides has not drifted, another one has.

        Args:
            reference: one numeric column for each feature, one row for each image.
            current: the same columns.
            policy: the method.

        Returns:
            Each column's distance, or p-value for a test, in the order of the columns.

        Raises:
            ConfigError: the method or threshold cannot be used, or a column is missing or has fewer than two finite
                values.
            ServiceError: Evidently could not measure.
        """
        before, now = _checked(reference, current, policy)
        found: list[dict[str, Any]] = _run(before, now, policy.method, policy.threshold).dict()["metrics"]
        scores = {str(metric["config"]["column"]): float(metric["value"]) for metric in found}
        for column, score in scores.items():
            if not math.isfinite(score):
                message = (
                    f"Evidently's {policy.method} gave {score} for feature {column}; choose another [drift] method"
                )
                raise ServiceError(message)
        return {str(column): scores[str(column)] for column in reference.columns}

    def page(self, reference: pd.DataFrame, current: pd.DataFrame, policy: DriftPolicy, *, threshold: float) -> bytes:
        """Return the same measurement as one self-contained HTML page.

        Args:
            reference: as above.
            current: as above.
            policy: the method.
            threshold: of every feature: the largest p-value, or the least distance, that the page calls drift.

        Raises:
            ConfigError: as above.
            ServiceError: as above.
        """
        before, now = _checked(reference, current, policy)
        html: str = _run(before, now, policy.method, threshold).get_html_str(as_iframe=False)
        return html.encode()


def _checked(reference: pd.DataFrame, current: pd.DataFrame, policy: DriftPolicy) -> tuple[pd.DataFrame, pd.DataFrame]:
    valid = sorted((*DISTANCES, *P_VALUES))
    if policy.method not in valid:
        message = f"[drift] method must be one of {', '.join(valid)}; found {policy.method!r}"
        raise ConfigError(message)
    if policy.tests and policy.threshold > LARGEST_RATE:
        message = (
            f"[drift] threshold is a false discovery rate for method {policy.method!r} and must be at most "
            f"{LARGEST_RATE}; found {policy.threshold:g}: 0.001 is the tested choice"
        )
        raise ConfigError(message)
    columns = [str(column) for column in reference.columns]
    return _finite(reference, columns, "reference"), _finite(current, columns, "current window")


def _finite(table: pd.DataFrame, columns: list[str], side: str) -> pd.DataFrame:
    missing = [column for column in columns if column not in table.columns]
    if missing or not columns:
        message = f"the {side} must hold the features {', '.join(columns) or '(none)'}; missing {', '.join(missing)}"
        raise ConfigError(message)
    numbers = table[columns].astype("float64").replace([np.inf, -np.inf], np.nan)
    for column in columns:
        if (found := int(numbers[column].notna().sum())) < MIN_ROWS:
            message = f"feature {column} needs at least {MIN_ROWS} finite values in the {side}, found {found}"
            raise ConfigError(message)
    return numbers.reset_index(drop=True)


def _run(before: pd.DataFrame, now: pd.DataFrame, method: str, threshold: float) -> Any:
    # Evidently reports usage from its own service; the library does not, and this keeps it so.
    os.environ.setdefault("DO_NOT_TRACK", "1")
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    # Stated, so that no guess of Evidently's decides whether a column is a number or a category.
    definition = DataDefinition(numerical_columns=list(before.columns))
    metrics = [ValueDrift(column=column, method=method, threshold=threshold) for column in before.columns]
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # Its plots correlate columns; of a constant one that is 0/0, which says nothing of the measurement.
            warnings.simplefilter("ignore")
            return Report(metrics, include_tests=False).run(
                Dataset.from_pandas(now, data_definition=definition),
                Dataset.from_pandas(before, data_definition=definition),
            )
    except (ValueError, TypeError, KeyError, ZeroDivisionError) as error:
        message = f"Evidently could not measure drift by {method}: {error}"
        raise ServiceError(message) from error
