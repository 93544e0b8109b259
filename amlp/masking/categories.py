"""The two categories of patches, lesion and background, that a clustering tells apart."""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor


class Categories(NamedTuple):
    """What a clustering says of the patches of each image.

    Attributes:
        lesion: True where a patch was taken for a lesion.
        score: confidence in [0, 1]; `lesion` as numbers where a rule knows no more.
        degenerate: images whose patches could not be told apart; their `lesion` is all False.
    """

    lesion: Bool[Tensor, "b n"]
    score: Float[Tensor, "b n"]
    degenerate: Bool[Tensor, " b"]


Clustering = Callable[[Float[Tensor, "b c h w"]], Categories]
"""Images to categories, without labels and without random numbers."""
