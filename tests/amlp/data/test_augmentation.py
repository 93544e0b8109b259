"""Random resized crop, flip and rotation of batches."""

import torch

from amlp.config import AugmentationConfig
from amlp.data import augment, augment_label_maps
from amlp.data.augmentation import NUM_DRAWS

WHOLE = AugmentationConfig(crop_scale=(1.0, 1.0), horizontal_flip=False)
UPRIGHT = AugmentationConfig(crop_scale=(0.5, 1.0), horizontal_flip=True)
TURNED = AugmentationConfig(crop_scale=(0.5, 1.0), rotation_degrees=45.0)


def test_the_whole_crop_without_flip_changes_nothing() -> None:
    images = torch.rand(2, 3, 16, 16)
    middle = torch.full((2, NUM_DRAWS), 0.5)

    assert torch.allclose(augment(images, middle, config=WHOLE, image_size=16), images, atol=1e-5)


def test_a_small_flip_draw_mirrors_left_and_right() -> None:
    images = torch.rand(1, 1, 16, 16)
    draws = torch.full((1, NUM_DRAWS), 0.5)
    draws[:, 4] = 0.1
    config = AugmentationConfig(crop_scale=(1.0, 1.0), horizontal_flip=True)

    found = augment(images, draws, config=config, image_size=16)

    assert torch.allclose(found, images.flip(-1), atol=1e-5)


def test_a_quarter_turn_is_exact() -> None:
    images = torch.rand(1, 1, 16, 16)
    draws = torch.full((1, NUM_DRAWS), 0.5)
    draws[:, 5] = 1.0
    config = WHOLE.model_copy(update={"rotation_degrees": 90.0})

    found = augment(images, draws, config=config, image_size=16)

    assert torch.allclose(found, images.rot90(1, (-2, -1)), atol=1e-4)


def test_the_crop_covers_the_area_that_was_drawn() -> None:
    ramp = torch.linspace(0, 1, 64).expand(1, 1, 64, 64)
    draws = torch.full((1, NUM_DRAWS), 0.5)
    config = AugmentationConfig(crop_scale=(0.25, 0.25), horizontal_flip=False)

    found = augment(ramp, draws, config=config, image_size=32)

    assert abs(float(found.max() - found.min()) - 0.5) < 0.03


def test_crops_stay_inside_the_image() -> None:
    images = torch.ones(200, 1, 16, 16)
    masks = torch.ones(200, 16, 16, dtype=torch.uint8)
    draws = torch.rand(200, NUM_DRAWS)

    assert torch.allclose(
        augment(images, draws, config=UPRIGHT, image_size=8), torch.ones(1), atol=1e-5
    )
    assert augment_label_maps(masks, draws, config=UPRIGHT, image_size=8).min() == 1


def test_label_maps_move_with_their_images() -> None:
    blobs = torch.zeros(50, 32, 32, dtype=torch.uint8)
    blobs[:, 8:20, 10:26] = 2
    draws = torch.rand(50, NUM_DRAWS)

    images = augment(blobs[:, None].float(), draws, config=TURNED, image_size=32)
    masks = augment_label_maps(blobs, draws, config=TURNED, image_size=32)

    differs = (images[:, 0].round() - masks).abs() > 1  # of 2: only where the edge is blurred
    assert differs.float().mean() < 0.01
    assert set(masks.unique().tolist()) <= {0, 2}


def test_an_image_depends_on_its_own_draws_only() -> None:
    images = torch.rand(4, 1, 16, 16)
    draws = torch.rand(4, NUM_DRAWS)

    together = augment(images, draws, config=TURNED, image_size=16)
    alone = augment(images[2:3], draws[2:3], config=TURNED, image_size=16)

    assert torch.equal(together[2:3], alone)
