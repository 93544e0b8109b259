"""What a masking strategy is."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from amlp.patches import PatchMask


@runtime_checkable
class MaskingStrategy(Protocol):
    """Chooses the patches that the encoder does not see."""

    def __call__(
        self, images: Float[Tensor, "b c h w"], num_masked: int, generator: torch.Generator
    ) -> PatchMask:
        """Return a mask with exactly `num_masked` patches of every image.

        Args:
            images: after augmentation, as the encoder gets them.
            num_masked: from 1 to n - 1.
            generator: source of the one uniform draw per patch.
        """
