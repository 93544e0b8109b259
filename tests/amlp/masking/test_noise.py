import torch

from amlp.masking.noise import by_falling_noise, draw_noise


def test_noise_has_one_value_a_patch_in_the_unit_interval():
    noise = draw_noise(torch.zeros(3, 1, 8, 12), 4, torch.Generator().manual_seed(0))

    assert noise.shape == (3, 6)
    assert ((noise >= 0) & (noise < 1)).all()


def test_same_seed_gives_the_same_noise():
    images = torch.zeros(2, 1, 8, 8)

    first, second = (draw_noise(images, 4, torch.Generator().manual_seed(7)) for _ in range(2))

    assert torch.equal(first, second)


def test_patches_of_equal_noise_keep_the_order_in_which_mae_masks_them():
    noise = torch.tensor([[0.5, 0.2, 0.5, 0.9]])

    order = by_falling_noise(noise)

    assert order.tolist() == [[3, 2, 0, 1]]
