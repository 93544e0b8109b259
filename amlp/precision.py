"""Which number format a run computes in."""

from typing import Literal, assert_never

import torch

Precision = Literal["auto", "fp32", "bf16"]


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """Return the autocast context of a run; disabled for float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=uses_bf16(precision, device))


def uses_bf16(precision: Precision, device: torch.device) -> bool:
    """Whether networks compute in bfloat16; `auto` says yes only where the hardware does."""
    match precision:
        case "fp32":
            return False
        case "bf16":
            return True
        case "auto" if device.type == "cuda":
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
        case "auto":
            capabilities = torch.cpu.get_capabilities()
            return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
        case _:
            assert_never(precision)
