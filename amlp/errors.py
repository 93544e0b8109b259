"""Every error the library raises on purpose, drawn as one tree.

AmlpError
├── ConfigError              a run was described wrongly
├── DataError                images, masks or a data set are unusable
│   ├── UnreadableImage      the bytes are not an image we can decode
│   │   ├── UnsupportedImage a kind of file that is never accepted
│   │   └── ImageTooLarge    refused from its header, before decoding
│   ├── GeometryMismatch     image and mask (or model) disagree in shape or channels
│   ├── InvalidMask          a mask whose values cannot be read as labels
│   └── EmptyDataset         nothing left to work on
├── CheckpointError          a checkpoint is damaged or does not fit
├── StorageFull              no space left where the run writes
├── Diverged                 the loss stopped being a finite number
└── Cancelled                the listener asked the run to stop
"""

from typing import ClassVar


class AmlpError(Exception):
    """Base of the tree.

    Attributes:
        code: stable, dotted, for machines; never changes meaning.
        retryable: whether the same run may succeed when it is started again.
    """

    code: ClassVar[str] = "amlp"
    retryable: ClassVar[bool] = False


class ConfigError(AmlpError):
    """The run's description contradicts itself or its data."""

    code = "config.invalid"


class DataError(AmlpError):
    """Images, masks or a data set cannot be used as given."""

    code = "data.invalid"


class UnreadableImage(DataError):
    """The bytes cannot be decoded as the image they claim to be."""

    code = "data.unreadable-image"


class UnsupportedImage(UnreadableImage):
    """The bytes are of a kind that is never accepted."""

    code = "data.unsupported-image"


class ImageTooLarge(UnreadableImage):
    """The image exceeds a limit and was refused before its pixels were decoded."""

    code = "data.image-too-large"


class GeometryMismatch(DataError):
    """Two things that must share a grid or a channel count do not."""

    code = "data.geometry-mismatch"


class InvalidMask(DataError):
    """The values of a mask cannot be read as labels."""

    code = "data.invalid-mask"


class EmptyDataset(DataError):
    """No case is left for what the run needs (images, masks, a split)."""

    code = "data.empty"


class CheckpointError(AmlpError):
    """A checkpoint is damaged, incomplete or made for something else."""

    code = "checkpoint.invalid"


class StorageFull(AmlpError):
    """The place the run writes to has no space left; what was there before is intact."""

    code = "storage.full"
    retryable = True


class Diverged(AmlpError):
    """The loss became NaN or infinite."""

    code = "training.diverged"


class Cancelled(AmlpError):
    """The listener asked the run to stop; the last checkpoint is complete."""

    code = "run.cancelled"
