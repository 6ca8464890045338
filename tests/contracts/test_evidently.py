"""Drift as Evidently itself measures it."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

from wafergate.adapters.evidently import EvidentlyMeter
from wafergate.adapters.images import Examiner
from wafergate.domain.drift import DISTANCES, P_VALUES, DriftPolicy, DriftVerdict, FeatureDrift
from wafergate.errors import ConfigError
from wafergate.ports import DriftMeter
from wafergate.stages.drift import common_limit, feature_table, judge, weigh

METER: DriftMeter = EvidentlyMeter()
KS = DriftPolicy(method="ks", threshold=1e-4, share=0.16, min_images=30)
TILES = Path(__file__).parents[2].parent / "shared" / "data" / "magnetic-tile"


def measured(reference: pd.DataFrame, current: pd.DataFrame, policy: DriftPolicy) -> tuple[list[FeatureDrift], bytes]:
    """Return the weighed features and the page, as a report has them."""
    scores = METER(reference, current, policy)
    limit = common_limit([scores], policy)
    page = METER.page(reference, current, policy, threshold=limit)
    return weigh(scores, reference, current, limit=limit, policy=policy), page


def table(rows: int, seed: int = 0, shift: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"brightness": rng.normal(120 + shift, 10, rows), "noise": rng.normal(3, 1, rows)})


def policy_for(method: str) -> DriftPolicy:
    return DriftPolicy(method=method, threshold=1e-4 if method in P_VALUES else 0.5)


def by_name(features: list[FeatureDrift]) -> dict[str, FeatureDrift]:
    return {feature.feature: feature for feature in features}


@pytest.mark.parametrize("method", [*DISTANCES, *P_VALUES])
def test_every_method_finds_a_shift_and_only_in_the_column_that_has_it(method: str) -> None:
    features, html = measured(table(400), table(200, seed=1, shift=25), policy_for(method))
    assert [(feature.feature, feature.drifted) for feature in features] == [("brightness", True), ("noise", False)]
    assert features[0].reference_mean == pytest.approx(120, abs=2)
    assert features[0].current_mean == pytest.approx(145, abs=2)
    for feature in features:
        assert type(feature.distance) is float
        assert type(feature.drifted) is bool
        assert feature.drifted == (feature.distance >= feature.threshold)
    assert b"brightness" in html


@pytest.mark.parametrize("method", [*DISTANCES, *P_VALUES])
def test_a_constant_column_drifts_only_when_the_constant_changes(method: str) -> None:
    reference = pd.DataFrame({"same": np.ones(100), "other": np.ones(100)})
    current = pd.DataFrame({"same": np.ones(50), "other": np.full(50, 2.0)})
    features = by_name(measured(reference, current, policy_for(method))[0])
    assert (features["same"].distance, features["same"].drifted) == (0.0, False)
    assert features["other"].drifted


def test_figures_are_those_of_the_stated_formulas() -> None:
    reference, current = table(300), table(80, seed=3, shift=4)
    before, now = reference["brightness"], current["brightness"]
    wasserstein = measured(reference, current, DriftPolicy(method="wasserstein", threshold=0.3))[0][0]
    assert wasserstein.distance == pytest.approx(stats.wasserstein_distance(before, now) / before.std(ddof=0))
    assert wasserstein.threshold == 0.3
    ks = measured(reference, current, KS)[0][0]
    assert ks.distance == pytest.approx(-np.log10(stats.ks_2samp(before, now).pvalue))
    assert ks.threshold == pytest.approx(-np.log10(1e-4 / 2)), "of two features one at most is a discovery"


def test_missing_and_infinite_values_are_left_out_of_their_column_only() -> None:
    reference, current = table(200), table(100, seed=1)
    clean = by_name(measured(reference, current.iloc[4:].reset_index(drop=True), KS)[0])["brightness"]
    current.loc[:3, "brightness"] = [np.nan, np.inf, -np.inf, np.nan]
    holed = by_name(measured(reference, current, KS)[0])
    assert holed["brightness"].distance == pytest.approx(clean.distance)
    assert holed["brightness"].current_mean == pytest.approx(clean.current_mean)
    assert np.isfinite(holed["noise"].distance)


@pytest.mark.parametrize("method", [*DISTANCES, *P_VALUES])
def test_a_tiny_window_is_measured_and_left_to_the_verdict(method: str) -> None:
    reference, current = table(50), table(2, seed=1)
    features, _ = measured(reference, current, policy_for(method))
    assert len(features) == 2
    verdict, _ = judge(features, reference_images=50, current_images=2, policy=KS)
    assert verdict is DriftVerdict.NOT_ENOUGH


@pytest.mark.parametrize(
    ("reference", "current", "policy", "told"),
    [
        (table(9), table(9), DriftPolicy(method="mannw"), "must be one of hellinger, jensenshannon, kl_div, ks"),
        (table(9), table(9), DriftPolicy(method="ks", threshold=0.3), "at most 0.05"),
        (table(9), table(9).drop(columns="noise"), KS, "missing noise"),
        (table(9).assign(noise=np.nan), table(9), KS, "noise needs at least 2 finite values in the reference, found 0"),
        (table(9), table(1), KS, "in the current window, found 1"),
        (pd.DataFrame(), table(9), KS, "none"),
    ],
)
def test_what_cannot_be_measured_is_named(
    reference: pd.DataFrame, current: pd.DataFrame, policy: DriftPolicy, told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        measured(reference, current, policy)


def test_the_report_is_one_html_file_that_loads_nothing() -> None:
    html = measured(table(60), table(60, seed=1), KS)[1].decode()
    assert html.lstrip().startswith("<!DOCTYPE html>") or html.lstrip().startswith("<html")
    for opening in ('<script src="http', "<script src='http", '<link rel="stylesheet" href="http', '<img src="http'):
        assert opening not in html


def test_measuring_opens_no_connection_and_prints_nothing() -> None:
    program = """
import socket, sys
def refuse(self, address): sys.exit(f"tried to reach {address}")
socket.socket.connect = refuse
import pandas as pd
from wafergate.adapters.evidently import EvidentlyMeter
from wafergate.domain.drift import DriftPolicy
t = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1.0, 1.0, 1.0]})
EvidentlyMeter()(t, t, DriftPolicy(method="wasserstein"))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def _table_of(images: list[NDArray[np.uint8]]) -> pd.DataFrame:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    examine = Examiner()
    return feature_table([examine(cv2.imencode(".png", image)[1].tobytes(), now=now) for image in images])


def _verdict(reference: pd.DataFrame, current: pd.DataFrame) -> DriftVerdict:
    features, _ = measured(reference, current, KS)
    return judge(features, reference_images=len(reference), current_images=len(current), policy=KS)[0]


@pytest.mark.realdata
def test_real_tiles_do_not_drift_by_themselves_and_do_by_light_focus_and_noise() -> None:
    paths = sorted(TILES.glob("MT_*/Imgs/*.jpg"))
    if not paths:
        pytest.skip(f"no tile images beside the checkout ({TILES.name})")
    rng = np.random.default_rng(7)
    chosen = [paths[index] for index in rng.permutation(len(paths))[:400]]
    images = [np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), dtype=np.uint8) for path in chosen]
    reference, window = _table_of(images[:300]), images[300:]
    assert _verdict(reference, _table_of(window)) is DriftVerdict.STABLE
    changed = {
        "gain 0.8": [np.clip(image * 0.8, 0, 255).astype(np.uint8) for image in window],
        "blur 0.8 px": [cv2.GaussianBlur(image, (0, 0), 0.8).astype(np.uint8) for image in window],
        "noise 5": [np.clip(image + rng.normal(0, 5, image.shape), 0, 255).astype(np.uint8) for image in window],
    }
    assert {name: _verdict(reference, _table_of(after)) for name, after in changed.items()} == dict.fromkeys(
        changed, DriftVerdict.DRIFTED
    )
