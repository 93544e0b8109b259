"""Speed of one pretraining step, ours (preset `mae`) beside the MAE of lightly, on the CPU.

    python -m benchmarks.pretrain_step [--model vit_small] [--batch 8] [--rounds 5] [--json FILE]

Both train a ViT with MAE's decoder (256 wide, 4 deep, 8 heads) at 224 px, mask ratio 0.75, AdamW.
Arms are interleaved in one process, one thread; the figure is process CPU time. The matrix product
ceiling is measured in the same run. lightly comes with requirements-bench.txt; without it only our
arms run.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
import torch
from rich.console import Console
from rich.table import Table

from amlp.config import PretrainConfig
from amlp.engine import build_optimizer
from amlp.losses import attention_reconstruction_loss, patch_errors
from amlp.masking import build_masking, masking_ratio, num_masked
from amlp.models.mae import build_mae

try:
    from lightly.models import utils as lightly_utils
    from lightly.models.modules import MAEDecoderTIMM, MaskedVisionTransformerTIMM
except ImportError:
    lightly_utils = None

Step = Callable[[torch.Tensor], None]


def main() -> None:
    """Measure and print."""
    arguments = _parse()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    images = torch.randn(arguments.batch, 3, 224, 224)
    arms = _arms(arguments.model, arguments.precision.split(","))
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    ceilings: dict[str, list[float]] = {name: [] for name in arguments.precision.split(",")}
    for turn in range(arguments.rounds + 1):
        for name, step in arms.items():
            started = time.process_time()
            step(images)
            if turn > 0:  # the first is a warm-up
                seconds[name].append(time.process_time() - started)
        for name, found in ceilings.items():
            found.append(_gemm_flops(torch.float32 if name == "fp32" else torch.bfloat16))
    _report(arguments, seconds, ceilings)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model", default="vit_small", choices=["vit_tiny", "vit_small", "vit_base"]
    )
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", default="fp32,bf16")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def _arms(model: str, precisions: list[str]) -> dict[str, Step]:
    makers: dict[str, Callable[[str], Step]] = {"ours": lambda p: _ours(model, p)}
    if lightly_utils is not None:
        makers["lightly"] = lambda p: _lightly(model, p)
    return {f"{name} {p}": make(p) for p in precisions for name, make in makers.items()}


def _ours(model: str, precision: str) -> Step:
    config = PretrainConfig.model_validate({"preset": "mae", "encoder": model})
    network = build_mae(config, channels=3)
    masking = build_masking(config.masking, config.patch_size)
    count = num_masked(masking_ratio(config.ratio, 0, 1), 196, config.mask_count)
    generator = torch.Generator().manual_seed(0)
    optimizer = build_optimizer(network, config.optimizer)

    def step(images: torch.Tensor) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            mask = masking(images, count, generator)
            output = network(images, mask.masked, count)
        errors = patch_errors(output.reconstruction, output.targets)
        loss = attention_reconstruction_loss(errors, config.attention_reconstruction, 0.0)
        _update(optimizer, loss)

    return step


def _lightly(model: str, precision: str) -> Step:
    vit = timm.create_model(f"{model}_patch16_224", pretrained=False)
    encoder = MaskedVisionTransformerTIMM(vit=vit)
    decoder = MAEDecoderTIMM(
        num_patches=vit.patch_embed.num_patches,
        patch_size=16,
        embed_dim=vit.embed_dim,
        decoder_embed_dim=256,
        decoder_depth=4,
        decoder_num_heads=8,
    )
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, betas=(0.9, 0.95))

    def step(images: torch.Tensor) -> None:
        size = (images.shape[0], encoder.sequence_length)
        keep, hidden = lightly_utils.random_token_mask(size=size, mask_ratio=0.75)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            tokens = decoder.embed(encoder.encode(images=images, idx_keep=keep))
            filled = lightly_utils.repeat_token(decoder.mask_token, size)
            filled = lightly_utils.set_at_index(filled, keep, tokens.type_as(filled))
            shown = lightly_utils.get_at_index(decoder.decode(filled), hidden)
            predicted = decoder.predict(shown)
        patches = lightly_utils.patchify(images, 16)
        target = lightly_utils.get_at_index(patches, hidden - 1)
        _update(optimizer, torch.nn.functional.mse_loss(predicted.float(), target))

    return step


def _update(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def _gemm_flops(dtype: torch.dtype, side: int = 1024) -> float:
    left, right = torch.randn(2, side, side).to(dtype).unbind()
    started = time.process_time()
    for _ in range(4):
        left @ right
    return 4 * 2 * side**3 / (time.process_time() - started)


def _report(
    arguments: argparse.Namespace,
    seconds: dict[str, list[float]],
    ceilings: dict[str, list[float]],
) -> None:
    table = Table(title=f"{arguments.model}/16, 224 px, batch {arguments.batch}, one thread")
    for column in ("arm", "CPU-s/step", "min", "images/s", "speed over lightly (per round)"):
        table.add_column(column, justify="left" if column == "arm" else "right")
    rows: list[dict[str, Any]] = []
    for name, found in seconds.items():
        rival = seconds.get(name.replace("ours", "lightly"), []) if "ours" in name else []
        ratio = (
            statistics.median(b / a for a, b in zip(found, rival, strict=True)) if rival else None
        )
        median = statistics.median(found)
        rows.append(
            {
                "arm": name,
                "seconds": median,
                "min": min(found),
                "images_per_second": arguments.batch / median,
                "ratio": ratio,
            }
        )
        shown = "" if ratio is None else f"{ratio:.2f}"
        speed = f"{arguments.batch / median:.2f}"
        table.add_row(name, f"{median:.2f}", f"{min(found):.2f}", speed, shown)
    console = Console()
    console.print(table)
    gemm = {name: statistics.median(found) / 1e9 for name, found in ceilings.items()}
    console.print({f"gemm {name} GFLOP/s": round(value, 1) for name, value in gemm.items()})
    if arguments.json:
        result = {"rows": rows, "gemm_gflops": gemm, "load": os.getloadavg()}
        arguments.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
