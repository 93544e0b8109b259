"""The library's verbs by config: the only module of the worker that imports torch.

Each is imported when it is run: together they take many seconds, and a job needs one.
"""

# ruff: noqa: PLC0415
from typing import TYPE_CHECKING, assert_never

from amlp.config import EvaluateConfig, FinetuneConfig, PretrainConfig, parse_run_config
from amlp.errors import ConfigError
from amlp.events import Listener
from worker.staging import Staged

if TYPE_CHECKING:
    from amlp.engine import RunResult


def run_verb(staged: Staged, listener: Listener) -> "RunResult":
    """Run what the config describes.

    Raises:
        ConfigError: an evaluation has no model.
        AmlpError: whatever else the verb raises.
    """
    config = parse_run_config(staged.config)
    match config:
        case PretrainConfig():
            from amlp.pretrain import pretrain

            return pretrain(config, staged.data, staged.out, listener)
        case FinetuneConfig():
            from amlp.finetune import finetune

            return finetune(config, staged.data, staged.out, listener, init=staged.init)
        case EvaluateConfig():
            from amlp.evaluate import evaluate

            if staged.init is None:
                raise ConfigError("an evaluation needs a model, got none")
            return evaluate(config, staged.data, staged.init, staged.out, listener)
        case _:
            assert_never(config)
