"""Weights, training state and provenance in safetensors and JSON; never pickle."""

from amlp.checkpoint.folder import (
    CHECKPOINTS_NAME,
    best_checkpoint,
    damaged_checkpoints,
    find_checkpoint,
    list_checkpoints,
    prune_checkpoints,
    set_aside,
)
from amlp.checkpoint.info import (
    INFO_NAME,
    STATE_NAME,
    WEIGHTS_NAME,
    Architecture,
    CheckpointInfo,
    FileRecord,
    current_versions,
    read_info,
)
from amlp.checkpoint.read import load_weights, read_state, read_tensors, read_weights
from amlp.checkpoint.write import write_checkpoint

__all__ = [
    "CHECKPOINTS_NAME",
    "INFO_NAME",
    "STATE_NAME",
    "WEIGHTS_NAME",
    "Architecture",
    "CheckpointInfo",
    "FileRecord",
    "best_checkpoint",
    "current_versions",
    "damaged_checkpoints",
    "find_checkpoint",
    "list_checkpoints",
    "load_weights",
    "prune_checkpoints",
    "read_info",
    "read_state",
    "read_tensors",
    "read_weights",
    "set_aside",
    "write_checkpoint",
]
