"""Explicit against fused attention, forward and backward on the CPU: why the models choose by type.

python -m benchmarks.attention [--rounds 11]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional

SHAPES = {"encoder, 75 % masked": (8, 6, 50, 64), "encoder, 25 % masked": (8, 6, 148, 64)}
SHAPES |= {"decoder": (8, 8, 197, 32)}


def explicit(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Matmul, softmax, matmul."""
    return ((query * query.shape[-1] ** -0.5) @ key.mT).softmax(dim=-1) @ value


def main() -> None:
    """Measure, interleaved, one thread, process CPU time, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    table = Table(title="CPU-ms, forward and backward, one thread")
    for column in ("tokens of", "type", "explicit", "fused", "fused / explicit"):
        table.add_column(column)
    for name, shape in SHAPES.items():
        for dtype in (torch.float32, torch.bfloat16):
            found: dict[str, list[float]] = {"explicit": [], "fused": []}
            for _ in range(rounds):
                found["explicit"].append(_seconds(explicit, shape, dtype))
                fused = functional.scaled_dot_product_attention
                found["fused"].append(_seconds(fused, shape, dtype))
            left, right = (statistics.median(found[arm]) * 1e3 for arm in ("explicit", "fused"))
            table.add_row(name, str(dtype), f"{left:.1f}", f"{right:.1f}", f"{right / left:.2f}")
    Console().print(table)


def _seconds(
    attend: Callable[..., Tensor], shape: tuple[int, int, int, int], dtype: torch.dtype
) -> float:
    b, heads, tokens, dim = shape
    qkv = torch.randn(b, tokens, 3, heads, dim).to(dtype).requires_grad_()
    started = time.process_time()
    mixed = attend(*qkv.permute(2, 0, 3, 1, 4).unbind(0))
    mixed.transpose(1, 2).reshape(b, tokens, -1).sum().backward()
    return time.process_time() - started


if __name__ == "__main__":
    main()
