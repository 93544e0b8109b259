"""The training loop and what it needs; it knows neither masks nor metrics."""

from amlp.engine.dataset_cache import cached_dataset
from amlp.engine.diagnostics import (
    category_diagnostics,
    difficulty_diagnostics,
    mask_diagnostics,
)
from amlp.engine.distributed import Processes, processes
from amlp.engine.meter import Meter
from amlp.engine.optimizer import build_optimizer, set_learning_rate
from amlp.engine.reconstruction_sheet import on_pixels, write_reconstruction_sheet
from amlp.engine.result import RunResult
from amlp.engine.run_folder import RunFolder
from amlp.engine.schedule import learning_rate_factor
from amlp.engine.seeding import deterministic_kernels, mask_generator, seed_network
from amlp.engine.sheet import Tile, display_tile, heat_tile, histogram_tile, tint, write_sheet
from amlp.engine.task import Losses, Moment, Task
from amlp.engine.trainer import Trainer
from amlp.engine.training_state import optimizer_state, restore_optimizer

__all__ = [
    "Losses",
    "Meter",
    "Moment",
    "Processes",
    "RunFolder",
    "RunResult",
    "Task",
    "Tile",
    "Trainer",
    "build_optimizer",
    "cached_dataset",
    "category_diagnostics",
    "deterministic_kernels",
    "difficulty_diagnostics",
    "display_tile",
    "heat_tile",
    "histogram_tile",
    "learning_rate_factor",
    "mask_diagnostics",
    "mask_generator",
    "on_pixels",
    "optimizer_state",
    "processes",
    "restore_optimizer",
    "seed_network",
    "set_learning_rate",
    "tint",
    "write_reconstruction_sheet",
    "write_sheet",
]
