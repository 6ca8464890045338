"""Detection transformers: their queries as rows of boxes, to be read like those of any end-to-end network."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["rows_of_queries"]


def rows_of_queries(
    network: "nn.Module", read: Callable[[Any], "tuple[Tensor, Tensor]"], *, image_size: int
) -> "nn.Module":
    """Wrap a network so that it gives `(n, queries, 6)`: corners in input pixels, score, class.

    A query takes the class that scores highest, as a box of every other detector here does; the networks' own predict
    also lists its second class where that ranks among the first 300 pairs of query and class.

    Args:
        network: takes `(n, 3, size, size)` float32.
        read: turns what it returns into centres and sizes `(n, queries, 4)` as fractions of the image, and
            probabilities `(n, queries, classes)`.
        image_size: side of the input, pixels.
    """
    import torch

    class RowsOfQueries(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            boxes, probabilities = read(self.network(images))
            centres, halves = boxes[..., :2], boxes[..., 2:] / 2
            corners = torch.cat([centres - halves, centres + halves], dim=-1) * image_size
            scores, classes = probabilities.max(dim=-1, keepdim=True)
            return torch.cat([corners, scores, classes.to(scores.dtype)], dim=-1)

    return RowsOfQueries()
