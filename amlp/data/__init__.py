"""From a data set's folder to batches: decoded once, augmented and z-scored a batch at a time."""

from amlp.data.augmentation import NUM_DRAWS, augment, augment_label_maps
from amlp.data.dataset import Dataset, load_dataset
from amlp.data.order import Stream, derive_seed, epoch_order, epoch_uniforms
from amlp.data.resize import resize_images, resize_label_maps
from amlp.data.samples import Samples, Slices, load_samples, read_slices, stored_resolution
from amlp.data.source import (
    Batch,
    BatchSource,
    LabelledSlice,
    ResizedSource,
    WindowSource,
    split_slices,
)
from amlp.data.standardise import standardise
from amlp.data.supervised import Stack, labelled_source, labelled_stacks, largest_lesion_slice

__all__ = [
    "NUM_DRAWS",
    "Batch",
    "BatchSource",
    "Dataset",
    "LabelledSlice",
    "ResizedSource",
    "Samples",
    "Slices",
    "Stack",
    "Stream",
    "WindowSource",
    "augment",
    "augment_label_maps",
    "derive_seed",
    "epoch_order",
    "epoch_uniforms",
    "labelled_source",
    "labelled_stacks",
    "largest_lesion_slice",
    "load_dataset",
    "load_samples",
    "read_slices",
    "resize_images",
    "resize_label_maps",
    "split_slices",
    "standardise",
    "stored_resolution",
]
