"""Every knob of a run: frozen pydantic models that CLI, API, job row and checkpoint share.

A config says what is computed, never where: it holds no path, host or secret, so its digest names
the experiment.
"""

from amlp.config.digest import config_digest
from amlp.config.masking import (
    AdaptiveRatioConfig,
    BlockwiseMaskingConfig,
    CentrePriorConfig,
    ClusteringConfig,
    ConstantRatioConfig,
    GeodesicSaliencyConfig,
    HardSelectionConfig,
    KMeansConfig,
    MaskedPatchSelectionConfig,
    MaskingConfig,
    RandomMaskingConfig,
    RatioConfig,
    SelectionConfig,
    SoftSelectionConfig,
)
from amlp.config.model import (
    ENCODERS,
    Config,
    DecoderConfig,
    EncoderConfig,
    HeadConfig,
    LinearHeadConfig,
    UnetrHeadConfig,
)
from amlp.config.pretrain import (
    PRESETS,
    AttentionReconstructionConfig,
    CategoryConsistencyConfig,
    PretrainConfig,
)
from amlp.config.run import RunConfig, parse_run_config
from amlp.config.segmentation import (
    EvaluateConfig,
    FinetuneConfig,
    InferenceConfig,
    ResizeConfig,
    SegmentationLossConfig,
    SlidingWindowConfig,
)
from amlp.config.training import (
    AugmentationConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainingConfig,
)

__all__ = [
    "ENCODERS",
    "PRESETS",
    "AdaptiveRatioConfig",
    "AttentionReconstructionConfig",
    "AugmentationConfig",
    "BlockwiseMaskingConfig",
    "CategoryConsistencyConfig",
    "CentrePriorConfig",
    "ClusteringConfig",
    "Config",
    "ConstantRatioConfig",
    "DecoderConfig",
    "EncoderConfig",
    "EvaluateConfig",
    "FinetuneConfig",
    "GeodesicSaliencyConfig",
    "HardSelectionConfig",
    "HeadConfig",
    "InferenceConfig",
    "KMeansConfig",
    "LinearHeadConfig",
    "MaskedPatchSelectionConfig",
    "MaskingConfig",
    "OptimizerConfig",
    "PretrainConfig",
    "RandomMaskingConfig",
    "RatioConfig",
    "ResizeConfig",
    "RunConfig",
    "ScheduleConfig",
    "SegmentationLossConfig",
    "SelectionConfig",
    "SlidingWindowConfig",
    "SoftSelectionConfig",
    "TrainingConfig",
    "UnetrHeadConfig",
    "config_digest",
    "parse_run_config",
]
