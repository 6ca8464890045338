"""The line file: everything a team decides about one production line, checked as a whole."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from wafergate.domain.alerts import AlertPolicy, SchedulePolicy
from wafergate.domain.augmentation import AugmentPolicy
from wafergate.domain.cost import CostPolicy
from wafergate.domain.drift import DriftPolicy
from wafergate.domain.gate import GatePolicy
from wafergate.domain.golden import GoldenPolicy
from wafergate.domain.governor import GovernorPolicy
from wafergate.domain.identity import digest_bytes
from wafergate.domain.inspection import InspectionPolicy
from wafergate.domain.licences import LicencePolicy
from wafergate.domain.models import ModelPolicy, TrainProfile
from wafergate.domain.near_duplicates import LikenessPolicy
from wafergate.domain.production import ReviewPolicy
from wafergate.domain.quarantine import Unlabelled
from wafergate.domain.samples import BoxPolicy
from wafergate.domain.serving import ServeProfile
from wafergate.domain.splits import SplitPolicy
from wafergate.domain.taxonomy import Taxonomy
from wafergate.domain.tiling import TilePolicy
from wafergate.domain.validation import ValidationPolicy
from wafergate.domain.words import counted
from wafergate.errors import ConfigError

__all__ = ["Hardware", "IntakePolicy", "Line", "LineFile", "load_line", "parse_line", "wrong_line"]

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,62}$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Line(_Section):
    """`[line]`: what is produced and which defects matter."""

    name: Name
    product: str = ""
    classes: Annotated[tuple[Name, ...], Field(min_length=1)]
    critical: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _critical_classes_exist(self) -> Self:
        twice = sorted({name for name in self.classes if self.classes.count(name) > 1})
        if twice:
            message = f"each class is named once, found twice: {', '.join(twice)}"
            raise ValueError(message)
        unknown = [name for name in self.critical if name not in self.classes]
        if unknown:
            message = f"critical classes must be in classes, found {', '.join(unknown)}"
            raise ValueError(message)
        return self


class IntakePolicy(_Section):
    """`[intake]`: what file names tell, and the licence of the images.

    Attributes:
        pattern: regular expression searched in each image's path; named groups become metadata (lot, wafer …).
        reference: path of the golden reference made from the image's `{folder}`, `{stem}` and `{suffix}`.
        mask_gap: parts of a mask nearer than this many pixels are one defect.
        mask_min_area: parts of a mask smaller than this many pixels are no defect.
        max_pixels: images with more pixels are quarantined undecoded.
        unlabelled: what an image without a label file is: `format` as its format says, `normal` an image without
            defect, `quarantine` set aside.
        licence: SPDX identifier of the images and labels.
    """

    pattern: str = ""
    reference: str = ""
    mask_gap: Annotated[int, Field(ge=0)] = 0
    mask_min_area: Annotated[int, Field(ge=1)] = 9
    max_pixels: Annotated[int, Field(ge=1)] = 100_000_000
    unlabelled: Unlabelled = Unlabelled.FORMAT
    licence: str = "LicenseRef-Proprietary"

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            message = f"not a regular expression: {error}"
            raise ValueError(message) from error
        return value


_PATH, _TEXT = "(path)", "(text)"  # set by the reader, under names that are no keys of a file


class Hardware(_Section):
    """`[hardware.train]` and `[hardware.serve]` (rule M14)."""

    train: TrainProfile = TrainProfile()
    serve: ServeProfile = ServeProfile()


class LineFile(_Section):
    """A whole line file; `digest` is the SHA-256 of its text, kept by every flow run."""

    line: Line
    intake: IntakePolicy = IntakePolicy()
    taxonomy: Taxonomy = Taxonomy()
    boxes: BoxPolicy = BoxPolicy()
    tile: TilePolicy = TilePolicy()
    validation: ValidationPolicy = ValidationPolicy()
    near_duplicates: LikenessPolicy = LikenessPolicy()
    split: SplitPolicy = SplitPolicy()
    augment: AugmentPolicy = AugmentPolicy()
    models: ModelPolicy = ModelPolicy()
    hardware: Hardware = Hardware()
    licences: LicencePolicy = LicencePolicy()
    gate: GatePolicy = GatePolicy()
    prevalence: Mapping[str, Annotated[float, Field(ge=0, le=1)]] = {}
    cost: CostPolicy = CostPolicy()
    inspection: InspectionPolicy = InspectionPolicy()
    drift: DriftPolicy = DriftPolicy()
    governor: GovernorPolicy = GovernorPolicy()
    review: ReviewPolicy = ReviewPolicy()
    golden: GoldenPolicy = GoldenPolicy()
    alerts: AlertPolicy = AlertPolicy()
    schedule: SchedulePolicy = SchedulePolicy()
    path: Path = Field(default=Path(), exclude=True, validation_alias=_PATH)
    text: str = Field(default="", exclude=True, validation_alias=_TEXT)

    @property
    def digest(self) -> str:
        """SHA-256 of the file's text."""
        return digest_bytes(self.text.encode())

    @property
    def name(self) -> str:
        """Name of the production line."""
        return self.line.name

    @property
    def classes(self) -> tuple[str, ...]:
        """Defect classes in the order of the file."""
        return self.line.classes

    @property
    def cuts(self) -> tuple[TilePolicy, ...]:
        """How training cuts images; nothing where it leaves them whole, and nothing that names a training then."""
        return (self.tile,) if self.tile.active else ()

    @model_validator(mode="after")
    def _classes_are_known(self) -> Self:
        wrong = [
            f"[taxonomy] maps {mapping.raw!r} to {mapping.defect_class!r}, which is not in [line] classes"
            for mapping in self.taxonomy.map
            if mapping.defect_class not in self.classes
        ]
        wrong += [
            f"[prevalence] names {name!r}, which is not in [line] classes"
            for name in self.prevalence
            if name not in self.classes
        ]
        unstated = [name for name in self.classes if name not in self.prevalence]
        if self.cost.known and unstated:
            wrong.append(f"[cost] needs every class's real rate in [prevalence]; missing: {', '.join(unstated)}")
        wrong += [
            f"[augment] composite_classes names {name!r}, which is not in [line] classes"
            for name in self.augment.composite_classes
            if name not in self.classes
        ]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


def _explain(error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"]) or "(file)"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] in {"extra_forbidden", "unexpected_keyword_argument"}:
        return f"{key}: unknown key; known here: {', '.join(_known_beside(error['loc']))}"
    if error["type"] == "missing":
        return f"{key}: required, not given"
    hidden = key.startswith("alerts") or isinstance(error.get("input"), (dict, list, tuple))  # an address may be secret
    found = "" if hidden else f", found {error.get('input')!r}"
    return f"{key}: {message[0].lower()}{message[1:]}{found}"


def _known_beside(loc: Sequence[str | int]) -> list[str]:
    """Return the keys that a table has, by where one of its keys lies."""
    schema = LineFile.model_json_schema()
    table = schema
    for part in loc[:-1]:
        inner = table["items"] if isinstance(part, int) else table.get("properties", {}).get(part)
        inner = inner or table["additionalProperties"]
        table = schema["$defs"][inner["$ref"].rpartition("/")[2]] if "$ref" in inner else inner
    return sorted(table["properties"].keys() - {_PATH, _TEXT})


def parse_line(text: str, path: Path) -> LineFile:
    """Check the text of a line file as a whole.

    Raises:
        ConfigError: all errors at once, each with its key and what would be right.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = f"{path.name} is not TOML: {error}"
        raise ConfigError(message) from error
    try:
        return LineFile.model_validate(tables | {_PATH: path, _TEXT: text})
    except ValidationError as error:
        raise wrong_line(path, [_explain(item) for item in error.errors()]) from error


def wrong_line(path: Path, problems: Sequence[str]) -> ConfigError:
    """Return the error that tells everything that is wrong with a line file, a line each."""
    return ConfigError("\n  ".join((f"{path.name} has {counted(len(problems), 'error')}:", *problems)))


def load_line(path: Path) -> LineFile:
    """Read and check a line file.

    Raises:
        ConfigError: it is not there, is not text, or has errors.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        named = "" if path.suffix == ".toml" else " (this needs the file, a line's name is not enough)"
        message = f"there is no line file {path}{named}; `wafergate init` writes one to start from"
        raise ConfigError(message) from error
    except (OSError, UnicodeDecodeError) as error:
        message = f"the line file {path} cannot be read: {error}"
        raise ConfigError(message) from error
    return parse_line(text, path)
