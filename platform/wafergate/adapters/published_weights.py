"""Where the installed backends say that weights are published, and whether a weight file holds nothing but weights."""

from pathlib import Path
from tempfile import TemporaryDirectory

from wafergate.adapters import libreyolo, ultralytics_package
from wafergate.adapters.torch_run import read_tensors
from wafergate.adapters.training_process import require_extra

__all__ = ["LibreYoloWeights", "UltralyticsWeights"]


class LibreYoloWeights:
    """Fills `wafergate.ports.PublishedWeights`; the addresses are those of the package's own models."""

    def address(self, architecture: str) -> str:
        """Return where the weights of an architecture lie; see the port."""
        return libreyolo.published_at(libreyolo.require_family(architecture), architecture)

    def check(self, file: Path) -> None:
        """Read the tensors; see the port."""
        require_extra("libreyolo", "libreyolo")
        read_tensors(file)


class UltralyticsWeights:
    """Fills `wafergate.ports.PublishedWeights`; the addresses are those of the release that the package names."""

    def address(self, architecture: str) -> str:
        """Return where the weights of an architecture lie; see the port."""
        require_extra("ultralytics", "ultralytics")
        ultralytics_package.check_architecture(architecture)
        with TemporaryDirectory() as folder:
            return ultralytics_package.published_at(architecture, Path(folder))

    def check(self, file: Path) -> None:
        """Load it with known classes only; see the port."""
        require_extra("ultralytics", "ultralytics")
        with TemporaryDirectory() as folder:
            ultralytics_package.check_weights(file, Path(folder))
