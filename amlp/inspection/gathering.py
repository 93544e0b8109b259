"""One pass over the cases: each is read once, and all that is asked of it is asked then."""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from amlp.config import PretrainConfig
from amlp.data import (
    NUM_DRAWS,
    Slices,
    augment,
    augment_label_maps,
    epoch_uniforms,
    resize_images,
    resize_label_maps,
    standardise,
)
from amlp.inspection.duplicates import thumbnail_of
from amlp.inspection.marks import Marks, find_marks
from amlp.inspection.selection import Observation, lesion_patches, observe
from amlp.inspection.stability import CROPS, crop_agreement, flip_agreement
from amlp.masking import Clustering


@dataclass
class Gathering:
    """What was seen so far.

    Attributes:
        config: image and patch size, seed.
        categorize: the clustering that is looked at.
        whole: observations of whole images, one entry a case.
        crops: the same of one random crop of each image.
        flip: counts of patches by label and mirrored label, (2, 2).
        crop: counts of patches by cropped label and label of the crop, (2, 2).
        thumbnails: of each case's middle slice.
        marks: on each case's middle slice.
    """

    config: PretrainConfig
    categorize: Clustering
    whole: list[Observation] = field(default_factory=list)
    crops: list[Observation] = field(default_factory=list)
    flip: Tensor = field(default_factory=lambda: torch.zeros(2, 2, dtype=torch.long))
    crop: Tensor = field(default_factory=lambda: torch.zeros(2, 2, dtype=torch.long))
    thumbnails: list[NDArray[np.float32]] = field(default_factory=list)
    marks: list[Marks] = field(default_factory=list)

    def add(self, slices: Slices) -> None:
        """Look at one case; slices of one single value are left out of the clustering."""
        middle = slices.images[len(slices.images) // 2].numpy()
        number = len(self.marks)
        self.thumbnails.append(thumbnail_of(middle))
        self.marks.append(find_marks(middle))
        flat = slices.images.flatten(1).float()
        varied = flat.amax(1) > flat.amin(1)
        if not varied.any():
            return
        size = (self.config.image_size, self.config.image_size)
        images = resize_images(slices.images[varied].float(), size)
        masks = None if slices.masks is None else resize_label_maps(slices.masks[varied], size)
        self._look(images, masks, number)

    def _look(self, images: Float[Tensor, "b c s s"], masks: Tensor | None, number: int) -> None:
        seed, patch_size = self.config.seed, self.config.patch_size
        draws = epoch_uniforms(seed, number, len(images), NUM_DRAWS)
        uniforms = torch.from_numpy(draws).float()
        side = self.config.image_size
        crops = standardise(augment(images, uniforms, config=CROPS, image_size=side))
        crop_masks = masks
        if masks is not None:
            crop_masks = augment_label_maps(masks, uniforms, config=CROPS, image_size=side)
        whole = standardise(images)
        self.whole.append(self._observe(whole, masks, number))
        self.crops.append(self._observe(crops, crop_masks, number))
        self.flip += flip_agreement(whole, categorize=self.categorize, patch_size=patch_size)
        self.crop += crop_agreement(
            whole, crops, uniforms, categorize=self.categorize, patch_size=patch_size
        )

    def _observe(self, images: Tensor, masks: Tensor | None, number: int) -> Observation:
        patch_size = self.config.patch_size
        return observe(
            images,
            None if masks is None else lesion_patches(masks, patch_size),
            categorize=self.categorize,
            patch_size=patch_size,
            generator=torch.Generator().manual_seed(self.config.seed + number),
        )
