"""A place that images come into, inspected as they come."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from wafergate.domain.models import Channels
from wafergate.domain.samples import QuarantineReason, RawSample
from wafergate.errors import SourceError
from wafergate.formats.metadata import METADATA_NAME
from wafergate.jobs.inspect_lot import Hands, Inspected, inspect_lot, require_inspected
from wafergate.jobs.parts import Parts, silent
from wafergate.jobs.promote import champion_model
from wafergate.line import LineFile
from wafergate.ports import Progress, Source

__all__ = ["Place", "follow"]


class Place(Source, Protocol):
    """A source of the files that are whole now, and of the whole lines of a metadata table that grows."""

    @property
    def stamps(self) -> Mapping[str, Hashable]:
        """Each file that can be read with what tells one state of it from another."""

    @property
    def growing(self) -> frozenset[str]:
        """The files that are still being written."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What earlier rounds took and told: images with their stamps, and what was set aside."""

    tried: set[tuple[Hashable, ...]] = field(default_factory=set)
    aside: dict[tuple[str, QuarantineReason], str] = field(default_factory=dict)


def follow(
    parts: Parts,
    line: LineFile,
    look: Callable[[], Place],
    format_name: str,
    *,
    pause: Callable[[], bool],
    told: Callable[[Inspected], None] = lambda _: None,
    hands: Hands | None = None,
    progress: Progress = silent,
) -> Inspected:
    """Inspect what comes into a place until a pause says that it is over, or Ctrl-C.

    A part whose golden reference has not come yet is waited for; where the place holds a metadata table, so is an image
    without a row in it. Each image is inspected as it comes, by the champion of that time: what had been inspected
    before is not inspected again, whoever did it, when and with which champion.

    Args:
        parts: the real parts.
        line: the line file.
        look: lists the files that are whole now.
        format_name: a key of `READERS`.
        pause: waits a little; false when it is over.
        told: of every round that inspected something, or in which images wait for their row.
        hands: as in `inspect_lot`.
        progress: told of every batch.

    Raises:
        PromotionError: the line has no champion.
        SourceError: nothing that came could be inspected; that nothing came, or waits for its row, is no error.
    """
    known = _Known()
    rounds: list[Inspected] = []
    before: tuple[Mapping[str, Hashable], bool] = {}, False
    failed: SourceError | None = None
    try:
        while True:
            place = look()
            growing = METADATA_NAME in place.growing
            if (place.stamps, growing) != before:
                before = place.stamps, growing
                try:
                    if growing and not place.read(METADATA_NAME):
                        progress(f"waiting for {METADATA_NAME}, which is being written", 0, 0)
                    else:
                        rounds.append(_round(parts, line, place, format_name, known, hands, progress))
                        told(rounds[-1])
                except SourceError as error:  # the next file may be a good one
                    failed = error
            if not pause():
                break
    except KeyboardInterrupt:
        progress("stopped", 0, 0)  # each chunk is saved as it is done, so nothing is lost but the one at work
    done = Inspected(
        images={key: run for item in rounds for key, run in item.images.items()},
        new=sum(item.new for item in rounds),
        aside=known.aside,
        waiting=rounds[-1].waiting if rounds else 0,
    )
    if not done.images and not done.waiting:
        if failed is not None:
            raise failed
        if done.aside:
            require_inspected(done, line, place.title)
    return done


def _round(
    parts: Parts,
    line: LineFile,
    place: Place,
    format_name: str,
    known: _Known,
    hands: Hands | None,
    progress: Progress,
) -> Inspected:
    golden = champion_model(parts, line.name).channels is Channels.GOLDEN
    waiting: list[str] = []

    def is_new(item: RawSample) -> bool:
        beside = place.stamps.get(item.reference or "") if golden else None
        key = item.name, place.stamps[item.name], beside
        if key in known.tried or (golden and not item.reference):
            return False
        if not item.has_row:
            waiting.append(item.name)
            return False
        known.tried.add(key)
        return True

    done = inspect_lot(
        parts,
        line,
        place,
        format_name,
        only=is_new,
        growing=place.growing,
        once=True,
        hands=hands,
        progress=progress,
    )
    fresh = {key: detail for key, detail in done.aside.items() if key not in known.aside}
    known.aside.update(fresh)
    return replace(done, aside=fresh, waiting=len(waiting))
