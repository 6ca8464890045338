"""Lots: which model judged a lot, with what result, and the images with a defect."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import PurePosixPath
from urllib.parse import urlencode

import streamlit as st

from dashboards import lot_charts, lot_tables
from dashboards.context import UNREADABLE, Context
from dashboards.parts import RETRAIN, commands, figure, fold, section, show_table, unreadable
from dashboards.reading import lots as reading
from dashboards.reading.files import load_annotated
from dashboards.texts import Text, literal
from wafergate.domain.inspection import InspectedImage, InspectionDay, InspectionLot
from wafergate.errors import ServiceError

__all__ = ["PATH", "TITLE", "render"]

TITLE, PATH = "title_lots", "lots"
INSPECT = "wafergate inspect --line LINE.toml --source FOLDER"
NEWEST = 12  # lots that are shown at once
AT_ONCE = 8  # pictures that are read and drawn before the reader asks for more


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the address asks for: a lot to the letter, a day or both, at one station where it names one."""

    lot: str
    day: date | None
    station: str | None


def render(context: Context) -> None:
    """Show the pictures asked for, the newest days and the newest lots."""
    today = datetime.now(UTC).date()
    days = context.read(reading.load_days, context.line, today, door="inspections")
    lots = context.read(reading.load_lots, context.line, door="inspections")
    if not days and not lots:
        if context.read(reading.has_champion, context.line):
            commands("empty_lots", [INSPECT], context.text)
        else:
            commands("empty_lots_blind", [RETRAIN], context.text)
        return
    asked = _controls(days, lots, context)
    if asked.lot or asked.day:
        _pictures(asked, context)
    if there := [row for row in days if asked.station in {None, row.station}]:
        _days(there, context)
    _lots(lots, context)


def _controls(days: Sequence[InspectionDay], lots: Sequence[InspectionLot], context: Context) -> _Asked:
    text = context.text
    names = {row.lot: row.lot for row in lots}
    dates = {row.day.isoformat(): text.day(row.day) for row in reversed(days)}
    # A station may be named nothing at all, so the address tells it with a dot before it.
    stations = {f".{row.station}": row.station or text.plain("no_station") for row in days}
    # An address may be older than the lists: what it asks for is looked up all the same.
    asked_day, asked_station = _day_of(st.query_params.get("day", "")), st.query_params.get("station", "")
    if asked_day:
        dates.setdefault(asked_day.isoformat(), text.day(asked_day))
    if asked_station.startswith("."):
        stations.setdefault(asked_station, asked_station.removeprefix(".") or text.plain("no_station"))
    cells = st.columns([2, 1, 1])
    with cells[0]:
        lot = _ask("lot", text.plain("choose_lot"), names, open_to_new=True)
    with cells[1]:
        day = _ask("day", text.plain("choose_day"), dates)
    with cells[2]:
        station = _ask("station", text.plain("station_label"), stations)
    for name, chosen in (("day", day), ("station", station)):
        if not chosen and (odd := st.query_params.get(name, "")):
            st.info(text.say("not_in_address", name=name, asked=odd), icon=":material/link_off:")
    return _Asked(lot, _day_of(day), station.removeprefix(".") if station else None)


def _ask(name: str, label: str, options: Mapping[str, str], *, open_to_new: bool = False) -> str:
    """Let the reader choose one thing or none; the choice stands in the address."""
    asked = st.query_params.get(name, "")
    if asked and asked not in options and open_to_new:
        options = {asked: asked, **options}
    key = f"ask-{name}"
    st.session_state[key] = asked if asked in options else None

    def keep() -> None:
        if st.session_state[key]:
            st.query_params[name] = st.session_state[key]
        else:
            st.query_params.pop(name, None)

    chosen = st.selectbox(
        label,
        list(options),
        key=key,
        format_func=lambda value: options.get(value, value),
        placeholder="–",
        accept_new_options=open_to_new,
        on_change=keep,
    )
    return chosen or ""


def _day_of(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None


def _pictures(asked: _Asked, context: Context) -> None:
    text = context.text
    where = (context.line, asked.lot, asked.day, asked.station)
    seen = context.read(reading.load_images, *where, door="inspections")
    st.subheader(_title(asked, text), anchor=False)
    if not seen.images:
        st.info(text.say("nothing_there"), icon=":material/search_off:")
        return
    models = _model_names({image.model_id for image in (*seen.images, *seen.defective)}, context)
    with st.container(key="judged-by"):
        counts = {"images": text.count(len(seen.images)), "defective": _defective(seen, text)}
        told = text.say(
            "judged_newest" if seen.cut else "judged_by", models=", ".join(sorted(models.values())), **counts
        )
        st.markdown(told)
    if seen.defective:
        chart = lot_charts.found_by_class(lot_tables.count_found(seen.defective), text)
        figure(chart, "lot-classes", "lot_classes_alt", text)
        if seen.defective_cut:
            st.caption(text.say("lot_classes_cut", images=text.count(len(seen.defective))))
        _sheet(seen, context)
    else:
        st.caption(text.say("all_normal"))
    name = f"{context.line}-{asked.lot or asked.day}-images"
    fold("images", text.plain("image_figures"), partial(_image_table, seen.images, name, text))


def _defective(seen: reading.Seen, text: Text) -> str:
    """Return how many images have a defect; a plus follows where no more of them were read."""
    return f"{text.count(len(seen.defective))}{'+' if seen.defective_cut else ''}"


def _image_table(images: Sequence[InspectedImage], name: str, text: Text) -> None:
    table = lot_tables.image_data(images)
    shown = table[["name", "lot", "station", "captured_at", "defects", "classes"]].map(literal)
    show_table(shown.head(200), name=name, text=text, alt="image_table_alt", data=table, key="image-table")


def _title(asked: _Asked, text: Text) -> str:
    told = [text.say("pictures_lot", lot=asked.lot)] if asked.lot else []
    if asked.day:
        told.append(text.say("pictures_day", day=text.day(asked.day)))
    if asked.station is not None:
        told.append(text.say("pictures_station", station=asked.station or text.plain("no_station")))
    return ", ".join(told)


def _sheet(seen: reading.Seen, context: Context) -> None:
    """Show annotated pictures side by side, a few at once and more when asked for."""
    text = context.text
    asked = st.query_params.get("pictures", "")
    most = int(asked) if asked.isdecimal() else AT_ONCE
    shown = seen.defective[:most]
    section("pictures_title", text)
    counts = {"shown": text.count(len(shown)), "defective": _defective(seen, text)}
    st.caption(text.say("pictures_note", **counts))
    with st.container(horizontal=True, key="picture-sheet"):
        for image in shown:
            with st.container(width=300):
                if not _picture(image, context):
                    break
    if len(shown) < len(seen.defective):
        st.button(
            text.plain("pictures_more"),
            on_click=lambda: st.query_params.update({"pictures": str(most + 2 * AT_ONCE)}),
            icon=":material/expand_more:",
        )


def _picture(image: InspectedImage, context: Context) -> bool:
    """Show an annotated picture, or why it cannot be read; return whether it is worth to ask for the next one."""
    text = context.text
    try:
        picture = context.read(load_annotated, image.image, image.detections, door="files")
    except UNREADABLE as error:
        unreadable(error, text, name=image.name)
        return not isinstance(error, ServiceError)
    st.image(picture, width="stretch")
    found = lot_tables.spell_found(lot_tables.count_found([image]), text)
    short = literal(PurePosixPath(image.name).name)
    st.caption(f"**{literal(found)}**  \n{short}  \n{literal(text.when(image.captured_at))}", help=literal(image.name))
    return True


def _days(days: Sequence[InspectionDay], context: Context) -> None:
    text = context.text
    section("days_title", text)
    st.caption(text.say("days_of", days=reading.MOST_DAYS))
    figure(lot_charts.by_day(days, text), "days-chart", "days_alt", text)
    fold("days", text.plain("days_figures"), partial(_day_table, days, context))


def _day_table(days: Sequence[InspectionDay], context: Context) -> None:
    text, models = context.text, _model_names({row.model_id for row in days}, context)
    shown, name = lot_tables.day_table(days, models, text), f"{context.line}-days"
    data = lot_tables.day_data(days)
    show_table(shown, name=name, text=text, alt="days_table_alt", data=data, key="day-table")


def _lots(lots: Sequence[InspectionLot], context: Context) -> None:
    text = context.text
    section("lots_title", text, "lot")
    if not lots:
        st.caption(text.say("no_lots"))
        return
    newest, older = lots[:NEWEST], lots[NEWEST:]
    _lot_table(newest, "lot-table", context)
    if older:
        label = text.plain("older_lots", count=text.count(len(older)))
        fold("lots", label, partial(_lot_table, older, "older-lots", context))
    st.caption(text.say("lots_note", count=text.count(len(lots))))


def _lot_table(lots: Sequence[InspectionLot], key: str, context: Context) -> None:
    text, models = context.text, _model_names({row.model_id for row in lots}, context)
    shown, data = lot_tables.lot_table(lots, models, _address_of(context), text), lot_tables.lot_data(lots)
    show_table(shown, name=f"{context.line}-{key}", text=text, alt="lots_alt", data=data, key=key)


def _model_names(ids: set[str], context: Context) -> dict[str, str]:
    found = context.read(reading.load_models, tuple(sorted(ids)))
    return {item: context.text.model(found[item]) if item in found else item for item in ids}


def _address_of(context: Context) -> Callable[[str], str]:
    kept = {"lang": context.text.language, "line": context.line}
    return lambda lot: f"?{urlencode(kept | {'lot': lot})}"
