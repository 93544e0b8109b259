"""Networks: the masked autoencoder of pretraining and the segmenter that follows it."""

from amlp.models.encoder import MaskedEncoder, build_encoder, load_encoder
from amlp.models.heads import LinearHead, UnetrHead, build_head
from amlp.models.mae import (
    MaskedAutoencoder,
    MaskedAutoencoderOutput,
    build_mae,
    paste_patches,
)
from amlp.models.segmenter import Segmenter, build_segmenter, class_probabilities, num_logits

__all__ = [
    "LinearHead",
    "MaskedAutoencoder",
    "MaskedAutoencoderOutput",
    "MaskedEncoder",
    "Segmenter",
    "UnetrHead",
    "build_encoder",
    "build_head",
    "build_mae",
    "build_segmenter",
    "class_probabilities",
    "load_encoder",
    "num_logits",
    "paste_patches",
]
