"""Evidently: how far each feature has moved, with an explicit method and threshold, and its HTML report."""

import math
import os
import warnings
from typing import Any, Final

import numpy as np
import pandas as pd

from wafergate.domain.drift import DriftPolicy, FeatureDrift
from wafergate.errors import ConfigError, ServiceError

__all__ = ["DISTANCES", "P_VALUES", "EvidentlyMeter"]

DISTANCES: Final = ("hellinger", "jensenshannon", "kl_div", "psi", "wasserstein")
"""Evidently's methods that return a distance free of the feature's unit: 0 is the same, more is farther.

How far two samples of the same images lie apart depends on how many they are: with `wasserstein` at 0.3 on any of six
features, 0 of 400 clean windows of half a real set (DeepPCB, magnetic tiles) passed for drift, but 43 % of those of 30
images against the rest. For windows of thousands, where a p-value calls the smallest difference significant.
"""

P_VALUES: Final = ("ks",)
"""Evidently's methods that return a p-value, so that the threshold holds for windows of any size.

With `ks` at 0.0001 on any of six features, 2 of 2,000 clean windows of 30 to 534 images of the same two sets passed for
drift; gain 0.8, blur of 0.8 px and noise of 5 grey levels were found in every window of 30 and of 100, and 6 of the 7
DeepPCB board groups against the others.

Left out on purpose, as they are in Evidently 0.7.23: `mannw` tests one direction only, `cramer_von_mises` calls two
equal constants different, `empirical_mmd` permutes with an unseeded generator, `es` and `anderson` refuse constants,
`t_test` sees means alone, and `ed` depends on the feature's unit, which one threshold for all features cannot serve.
"""

LARGEST_P: Final = 0.05
SMALLEST_P: Final = 1e-300
MIN_ROWS: Final = 2


class EvidentlyMeter:
    """Measures each column with the policy's one method; nothing leaves the machine."""

    def __call__(
        self, reference: pd.DataFrame, current: pd.DataFrame, policy: DriftPolicy
    ) -> tuple[list[FeatureDrift], bytes]:
        """Measure every column of `reference` against the same column of `current`.

        Missing and infinite values are left out, column by column. A constant column is measured like any other: the
        same constant on both sides has not drifted, another one has.

        Args:
            reference: one numeric column for each feature, one row for each image.
            current: the same columns.
            policy: method and threshold. For a distance the threshold is the least that counts as drift; for a
                p-value (`ks`) the largest.

        Returns:
            The features in the order of the columns, and the report as self-contained HTML. `distance` and
            `threshold` always read 'drifted at or above': of a p-value both are given as -log10 p.

        Raises:
            ConfigError: the method or threshold is not one of those above, or a column is missing or has fewer than
                two finite values.
            ServiceError: Evidently could not measure.
        """
        _check_policy(policy)
        columns = [str(column) for column in reference.columns]
        before, now = _finite(reference, columns, "reference"), _finite(current, columns, "current window")
        scores, html = _measure(before, now, policy)
        features = [_feature(column, scores[column], before[column], now[column], policy=policy) for column in columns]
        return features, html


def _check_policy(policy: DriftPolicy) -> None:
    valid = sorted((*DISTANCES, *P_VALUES))
    if policy.method not in valid:
        message = f"[drift] method must be one of {', '.join(valid)}; found {policy.method!r}"
        raise ConfigError(message)
    if policy.method in P_VALUES and policy.threshold > LARGEST_P:
        message = (
            f"[drift] threshold is a p-value for method {policy.method!r} and must be at most {LARGEST_P}; "
            f"found {policy.threshold:g}: 0.0001 is the tested choice"
        )
        raise ConfigError(message)


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


def _measure(before: pd.DataFrame, now: pd.DataFrame, policy: DriftPolicy) -> tuple[dict[str, float], bytes]:
    # Evidently reports usage from its own service; the library does not, and this keeps it so.
    os.environ.setdefault("DO_NOT_TRACK", "1")
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    # Stated, so that no guess of Evidently's decides whether a column is a number or a category.
    definition = DataDefinition(numerical_columns=list(before.columns))
    metrics = [ValueDrift(column=column, method=policy.method, threshold=policy.threshold) for column in before.columns]
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # Its plots correlate columns; of a constant one that is 0/0, which says nothing of the measurement.
            warnings.simplefilter("ignore")
            snapshot = Report(metrics, include_tests=False).run(
                Dataset.from_pandas(now, data_definition=definition),
                Dataset.from_pandas(before, data_definition=definition),
            )
            html: str = snapshot.get_html_str(as_iframe=False)
    except (ValueError, TypeError, KeyError, ZeroDivisionError) as error:
        message = f"Evidently could not measure drift by {policy.method}: {error}"
        raise ServiceError(message) from error
    found: list[dict[str, Any]] = snapshot.dict()["metrics"]
    return {str(metric["config"]["column"]): float(metric["value"]) for metric in found}, html.encode()


def _feature(
    column: str, score: float, before: "pd.Series[float]", now: "pd.Series[float]", *, policy: DriftPolicy
) -> FeatureDrift:
    if not math.isfinite(score):
        message = f"Evidently's {policy.method} gave {score} for feature {column}; choose another [drift] method"
        raise ServiceError(message)
    distance, threshold = score, float(policy.threshold)
    if policy.method in P_VALUES:
        distance, threshold = -math.log10(max(score, SMALLEST_P)) + 0.0, -math.log10(threshold)
    return FeatureDrift(
        feature=column,
        distance=distance,
        threshold=threshold,
        drifted=distance >= threshold,
        reference_mean=float(before.mean()),
        current_mean=float(now.mean()),
    )
