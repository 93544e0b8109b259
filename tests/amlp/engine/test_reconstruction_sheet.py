"""The picture of a pretraining run."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from amlp.engine import write_reconstruction_sheet
from amlp.masking import build_masking
from amlp.models import build_mae
from tests.tiny_runs import pretrain_config


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("norm_pix", [True, False])
def test_it_has_a_row_for_every_image(channels: int, norm_pix: bool, tmp_path: Path) -> None:
    config = pretrain_config()
    network = build_mae(config, channels)
    images = torch.randn(3, channels, 32, 32)
    mask = build_masking(config.masking, 8)(images, 9, torch.Generator().manual_seed(0))

    with torch.no_grad():
        write_reconstruction_sheet(tmp_path / "sheet.png", network, images, mask, norm_pix=norm_pix)

    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width == 5 * 192 + 6 * 8
        assert sheet.height > 3 * 192
