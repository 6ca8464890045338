"""Tables of the page Lots: pure functions from stored sums and images to data frames."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from dashboards.texts import Text, literal
from wafergate.domain.inspection import InspectedImage, InspectionDay, InspectionLot

__all__ = ["count_found", "day_data", "day_table", "image_data", "lot_data", "lot_table", "spell_found"]


def lot_table(
    lots: Sequence[InspectionLot], models: Mapping[str, str], address: Callable[[str], str], text: Text
) -> pd.DataFrame:
    """Return lots as the page shows them.

    Args:
        lots: newest first.
        models: names by model id.
        address: where the page shows a lot's pictures.
        text: the reader's language.
    """
    rows = [
        {
            text.plain("lot_label"): f"[{literal(lot.lot)}]({address(lot.lot)})",
            text.plain("model_label"): literal(models.get(lot.model_id, lot.model_id)),
            text.plain("captured"): literal(text.when(lot.last_at)),
            text.plain("inspections_label"): text.count(lot.images),
            text.plain("defective_label"): f"{text.count(lot.defective)} ({lot.defective / lot.images:.1%})",
            text.plain("found_label"): literal(spell_found(lot.instances, text)),
        }
        for lot in lots
    ]
    return pd.DataFrame(rows)


def day_table(days: Sequence[InspectionDay], models: Mapping[str, str], text: Text) -> pd.DataFrame:
    """Return days as the page shows them: as narrow for twenty classes as for two.

    Args:
        days: in the order to show.
        models: names by model id.
        text: the reader's language.
    """
    rows = [
        {
            text.plain("choose_day"): literal(text.day(row.day)),
            text.plain("model_label"): literal(models.get(row.model_id, row.model_id)),
            text.plain("station_label"): literal(row.station) or text.value(None),
            text.plain("slice_product"): literal(row.product) or text.value(None),
            text.plain("inspections_label"): text.count(row.images),
            text.plain("defective_label"): text.count(row.defective),
            text.plain("found_label"): literal(spell_found(row.instances, text)),
        }
        for row in days
    ]
    return pd.DataFrame(rows)


def lot_data(lots: Sequence[InspectionLot]) -> pd.DataFrame:
    """Return lots as they are stored, a column for each class that was found."""
    fields = ("line", "lot", "model_id", "first_at", "last_at", "images", "defective")
    return _with_classes(lots, fields)


def day_data(days: Sequence[InspectionDay]) -> pd.DataFrame:
    """Return days as they are stored, a column for each class that was found."""
    return _with_classes(days, ("line", "day", "model_id", "station", "product", "images", "defective"))


def image_data(images: Sequence[InspectedImage]) -> pd.DataFrame:
    """Return images as they are stored, with the number of their defects and the classes found."""
    fields = ("name", "image", "lot", "wafer", "die", "station", "product", "model_id", "captured_at", "novelty")
    rows = [
        {field: getattr(image, field) for field in fields}
        | {"defects": len(image.detections), "classes": "; ".join(sorted({found[0] for found in image.detections}))}
        for image in images
    ]
    return pd.DataFrame(rows, columns=[*fields, "defects", "classes"])


def count_found(images: Sequence[InspectedImage]) -> dict[str, int]:
    """Return the number of defects of each class on some images."""
    return dict(Counter(name for image in images for name, *_ in image.detections))


def spell_found(instances: Mapping[str, int], text: Text) -> str:
    """Return what was found, the most frequent class first, e.g. `scratch 12, void 3`."""
    counted = sorted(instances.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {text.count(count)}" for name, count in counted) or text.plain("found_nothing")


def _with_classes(rows: Sequence[InspectionLot | InspectionDay], fields: Sequence[str]) -> pd.DataFrame:
    classes = sorted({name for row in rows for name in row.instances})
    values = [
        {field: getattr(row, field) for field in fields}
        | {f"found {name}": row.instances.get(name, 0) for name in classes}
        for row in rows
    ]
    return pd.DataFrame(values, columns=[*fields, *(f"found {name}" for name in classes)])
