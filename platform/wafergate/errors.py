"""The errors a caller can act on; each carries the exit code of its kind."""


class WafergateError(Exception):
    """Say in one sentence what was required, what was found, in which item, and what to do."""

    exit_code = 1


class ConfigError(WafergateError):
    """The line file, a setting or an argument is wrong."""

    exit_code = 3


class SourceError(WafergateError):
    """A folder, archive or label file cannot be read as what it was said to be."""

    exit_code = 4


class TaxonomyError(WafergateError):
    """Labels have no defect class."""

    exit_code = 5


class ValidationFailedError(WafergateError):
    """A dataset version has an error-level finding."""

    exit_code = 6


class SplitError(WafergateError):
    """No split satisfies the policy; the message lists what is missing."""

    exit_code = 7


class AugmentError(WafergateError):
    """An augmentation plan passes its caps."""

    exit_code = 8


class LicenceError(WafergateError):
    """The licence policy refuses a model, weight file or data set."""

    exit_code = 9


class HardwareError(WafergateError):
    """No candidate fits the hardware, or training ran out of memory at batch 1."""

    exit_code = 10


class OutOfMemoryError(HardwareError):
    """A training asked for more memory than it may have; a smaller batch may do."""


class TrainingError(WafergateError):
    """A training or an export ended without a usable model."""

    exit_code = 11


class PromotionError(WafergateError):
    """A model may not become, or is not, the champion."""

    exit_code = 12


class NotFoundError(WafergateError):
    """An id or name is not in the store."""

    exit_code = 13


class QuarantineError(WafergateError):
    """Something in quarantine may not be released, or not again."""

    exit_code = 14


class GoldenError(WafergateError):
    """Golden parts are not answered as they were sealed."""

    exit_code = 15


class ServiceError(WafergateError):
    """PostgreSQL, S3, Prefect or another service does not answer or refuses."""

    exit_code = 20


class StorageError(WafergateError):
    """A file cannot be stored or does not have the digest it should have."""

    exit_code = 21


class AlertError(WafergateError):
    """An alert channel did not take a message; it stays in the outbox.

    Attributes:
        taken: the channels that did take it, as `1 json`.
    """

    exit_code = 22

    def __init__(self, message: str, taken: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.taken = taken
