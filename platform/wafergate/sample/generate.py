"""Write a sample line as a COCO file with images and golden references, byte for byte from a seed."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from wafergate.errors import ConfigError, StorageError
from wafergate.sample.defects import PAINTERS, Box, paint_defect, tight_box
from wafergate.sample.layout import PRODUCTS, Die, Grey, draw_die

CLASSES = tuple(PAINTERS)
REFERENCE_SUFFIX = "_golden"
LICENCE = "Apache-2.0"
DEFAULT_SIZE = 128
_DIES_PER_WAFER = 8
_NEW_DIE_TRIES = 20

Pixels = NDArray[np.uint8]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Batch:
    """Images that arrive together, spread evenly over their own lots.

    Attributes:
        images: images to draw for each defect class; an image holds one or two defects of its class.
        normal: images without a defect.
        lots: lots over which every class is dealt round-robin.
        first_lot: number of the first of these lots.
    """

    images: Mapping[str, int]
    normal: int
    lots: int
    first_lot: int = 1


@dataclass(frozen=True, slots=True)
class SampleSummary:
    """What a call wrote.

    Attributes:
        folder: where `annotations.json` and `images/` lie.
        annotations: the COCO file.
        images: images, golden references not counted.
        images_per_class: images that hold the class.
        defects_per_class: boxes of the class.
        normal: images without a defect.
        lots: names of the lots, in order.
    """

    folder: Path
    annotations: Path
    images: int
    images_per_class: Mapping[str, int]
    defects_per_class: Mapping[str, int]
    normal: int
    lots: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Shot:
    """One image to draw: where it comes from and what it shows."""

    lot: int
    wafer: int
    die: int
    defect_class: str | None

    @property
    def stem(self) -> str:
        return f"L{self.lot:03d}_W{self.wafer:02d}_D{self.die:03d}"


@dataclass(frozen=True, slots=True)
class _Drawn:
    """One finished image with its golden reference; boxes are x, y, width, height, painted pixels."""

    image: Pixels
    reference: Pixels
    boxes: tuple[tuple[Box, int], ...]


def write_sample(
    folder: Path,
    *,
    seed: int,
    batches: Sequence[Batch],
    size: int = DEFAULT_SIZE,
    on_progress: Progress | None = None,
) -> SampleSummary:
    """Draw a sample line into a folder: `images/*.png` first, `annotations.json` last.

    An image `L001_W02_D017.png` has its golden reference beside it as `L001_W02_D017_golden.png`; the COCO
    file lists images only. Every image depends on the seed and its own lot, wafer and die alone, so a further
    batch with later lots leaves the files of the earlier ones as they are, byte for byte.

    Args:
        folder: where to write; made if missing.
        seed: 0 or more; the same seed gives the same bytes with the same OpenCV.
        batches: what to draw; their lots must not overlap.
        size: side of the square images, in pixels, 96 or more.
        on_progress: called with (images done, images in all).

    Raises:
        ConfigError: a class is unknown, a count is negative, lots overlap, or the size is too small.
        StorageError: a file cannot be written.
    """
    _check(batches, seed=seed, size=size)
    shots = [shot for batch in batches for shot in _plan(batch, seed=seed)]
    pictures = folder / "images"
    drawn: list[tuple[_Shot, tuple[tuple[Box, int], ...]]] = []
    try:
        pictures.mkdir(parents=True, exist_ok=True)
        for done, shot in enumerate(shots, start=1):
            result = _draw(shot, seed=seed, size=size)
            _write_png(pictures / f"{shot.stem}.png", result.image)
            _write_png(pictures / f"{shot.stem}{REFERENCE_SUFFIX}.png", result.reference)
            drawn.append((shot, result.boxes))
            if on_progress is not None:
                on_progress(done, len(shots))
        annotations = folder / "annotations.json"
        partial = annotations.with_suffix(".partial")
        partial.write_text(json.dumps(_coco(drawn, size=size), indent=1) + "\n", encoding="utf-8")
        partial.replace(annotations)
    except OSError as error:
        raise StorageError(
            f"The sample line could not be written to {folder}: {error.strerror or error}. "
            "Free some space or choose a folder you may write to."
        ) from error
    return _summary(folder, annotations, drawn)


def _check(batches: Sequence[Batch], *, seed: int, size: int) -> None:
    """Refuse a plan that cannot be drawn."""
    if seed < 0 or size < 96:
        raise ConfigError(f"The sample line needs seed >= 0 and size >= 96 pixels; got {seed=} and {size=}.")
    seen: set[int] = set()
    for batch in batches:
        unknown = sorted(set(batch.images) - set(CLASSES))
        if unknown:
            raise ConfigError(f"The sample line has the classes {', '.join(CLASSES)}; got {', '.join(unknown)}.")
        if batch.lots < 1 or batch.first_lot < 1 or min([batch.normal, *batch.images.values()]) < 0:
            raise ConfigError(f"A batch needs lots and a first lot of 1 or more and no negative count; got {batch}.")
        lots = set(range(batch.first_lot, batch.first_lot + batch.lots))
        if lots & seen:
            raise ConfigError(f"Lots {sorted(lots & seen)} are in two batches; give the later one a later first lot.")
        seen |= lots


def _plan(batch: Batch, *, seed: int) -> Iterator[_Shot]:
    """Deal every class over the lots round-robin and number wafers and dies within a lot."""
    lots: list[list[str | None]] = [[] for _ in range(batch.lots)]
    dealt = 0
    wanted: list[tuple[str | None, int]] = [(name, batch.images.get(name, 0)) for name in CLASSES]
    for defect_class, count in [*wanted, (None, batch.normal)]:
        for _ in range(count):  # one running counter: each class starts where the last one stopped
            lots[dealt % batch.lots].append(defect_class)
            dealt += 1
    for lot, contents in enumerate(lots, start=batch.first_lot):
        rng = np.random.default_rng([seed, lot])
        for place, index in enumerate(rng.permutation(len(contents))):
            wafer, slot = divmod(place, _DIES_PER_WAFER)
            die = 1 + slot * 12 + int(rng.integers(12))
            yield _Shot(lot, wafer + 1, die, contents[int(index)])


def _draw(shot: _Shot, *, seed: int, size: int) -> _Drawn:
    """Draw one image and its golden reference."""
    product = PRODUCTS[(shot.lot - 1) % len(PRODUCTS)]
    # 99 sets the lot's own stream apart from every image's (wafers and dies never reach it)
    lot_gain = 1.0 + 0.05 * float(np.random.default_rng([seed, shot.lot, 99]).standard_normal())
    rng = np.random.default_rng([seed, shot.lot, shot.wafer, shot.die])
    for _ in range(_NEW_DIE_TRIES):
        die = draw_die(product, size=size, rng=rng)
        damaged, boxes = _damage(die, shot.defect_class, rng=rng)
        if boxes or shot.defect_class is None:
            break
    else:
        raise ConfigError(
            f"No die of {size} pixels has room for a {shot.defect_class} in {shot.stem}; use a larger size."
        )
    image = _capture(damaged, gain=lot_gain, rng=rng)
    reference = _capture(_shift(die.grey, rng=rng), gain=lot_gain, rng=rng)
    return _Drawn(image, reference, boxes)


def _damage(
    die: Die, defect_class: str | None, *, rng: np.random.Generator
) -> tuple[Grey, tuple[tuple[Box, int], ...]]:
    """Paint one defect, or two in one image of three; return the grey image, boxes and painted pixels."""
    if defect_class is None:
        return die.grey, ()
    taken = np.zeros(die.metal.shape, bool)
    grey, boxes = die.grey, []
    for _ in range(2 if rng.random() < 1 / 3 else 1):
        painted = paint_defect(die, defect_class, taken=taken, rng=rng)
        if painted is None:
            break
        values, mask = painted
        grey = np.where(mask, values, grey)
        taken |= mask
        boxes.append((tight_box(mask), int(mask.sum())))
    return grey, tuple(boxes)


def _shift(grey: Grey, *, rng: np.random.Generator) -> Grey:
    """Misregister the reference by at most one whole pixel each way."""
    down, right = (int(v) for v in rng.integers(0, 3, 2))
    padded = np.pad(grey, 1, mode="edge")
    return padded[down : down + grey.shape[0], right : right + grey.shape[1]]


def _capture(grey: Grey, *, gain: float, rng: np.random.Generator) -> Pixels:
    """Image a surface: optics blur, uneven light, sensor noise, 8 bits."""
    size = grey.shape[0]
    blurred = cv2.GaussianBlur(grey, (0, 0), 0.6)
    ramp = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    tilt_x, tilt_y = rng.normal(0.0, 0.04, 2)
    light = gain * (1.0 + rng.normal(0.0, 0.02)) * (1.0 + tilt_x * ramp[None, :] + tilt_y * ramp[:, None])
    noise = rng.normal(0.0, rng.uniform(2.5, 5.0), grey.shape)
    pixels: Pixels = np.clip(np.rint(blurred * light + noise), 0, 255).astype(np.uint8)
    return pixels


def _write_png(path: Path, pixels: Pixels) -> None:
    """Write an 8-bit grey PNG."""
    encoded, data = cv2.imencode(".png", pixels)
    if not encoded:
        raise StorageError(f"OpenCV could not encode {path.name} as PNG; reinstall opencv-python-headless.")
    path.write_bytes(data.tobytes())


def _coco(drawn: Sequence[tuple[_Shot, tuple[tuple[Box, int], ...]]], *, size: int) -> dict[str, object]:
    """Return the COCO document (https://cocodataset.org/#format-data); boxes are x, y, width, height."""
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for image_id, (shot, boxes) in enumerate(drawn, start=1):
        images.append(
            {
                "id": image_id,
                "file_name": f"{shot.stem}.png",
                "width": size,
                "height": size,
                "license": 1,
                "lot": f"L{shot.lot:03d}",
                "wafer": f"W{shot.wafer:02d}",
                "die": f"D{shot.die:03d}",
                "reference": f"{shot.stem}{REFERENCE_SUFFIX}.png",
            }
        )
        for box, area in boxes:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": 1 + CLASSES.index(str(shot.defect_class)),
                    "bbox": list(box),
                    "area": area,
                    "iscrowd": 0,
                }
            )
    return {
        "info": {"description": "Generated die images with golden references", "version": "1"},
        "licenses": [{"id": 1, "name": LICENCE, "url": "https://www.apache.org/licenses/LICENSE-2.0"}],
        "categories": [{"id": number, "name": name} for number, name in enumerate(CLASSES, start=1)],
        "images": images,
        "annotations": annotations,
    }


def _summary(
    folder: Path, annotations: Path, drawn: Sequence[tuple[_Shot, tuple[tuple[Box, int], ...]]]
) -> SampleSummary:
    """Count what was drawn."""
    return SampleSummary(
        folder=folder,
        annotations=annotations,
        images=len(drawn),
        images_per_class={name: sum(shot.defect_class == name for shot, _ in drawn) for name in CLASSES},
        defects_per_class={
            name: sum(len(boxes) for shot, boxes in drawn if shot.defect_class == name) for name in CLASSES
        },
        normal=sum(shot.defect_class is None for shot, _ in drawn),
        lots=tuple(dict.fromkeys(f"L{shot.lot:03d}" for shot, _ in drawn)),
    )
