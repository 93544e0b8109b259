import pytest
import torch

from amlp.config import AttentionReconstructionConfig
from amlp.losses import attention_reconstruction_loss, attention_weights

ERRORS = torch.tensor([[0.1, 0.2, 0.3, 1.4]])
FORMS = ["ratio", "softmax"]


def config(weighting="ratio", **values):
    return AttentionReconstructionConfig(
        **{"weighting": weighting, "strength": 1.0, "ramp_fraction": 0.0, **values}
    )


@pytest.mark.parametrize(
    ("arl", "weights", "loss"),
    [
        (config("none"), [1, 1, 1, 1], 0.5),
        (config("ratio"), [0.2, 0.4, 0.6, 2.8], 1.05),
        (config("ratio", gamma=0.5), [0.5071, 0.7172, 0.8783, 1.8974], 0.7785),
        (config("softmax"), [0.2563, 0.3102, 0.3754, 3.0581], 1.1204),
    ],
)
def test_weights_and_loss_equal_the_hand_worked_values(arl, weights, loss):
    found = attention_weights(ERRORS, arl, 1.0)

    assert found[0].tolist() == pytest.approx(weights, abs=1e-4)
    assert attention_reconstruction_loss(ERRORS, arl, 1.0).item() == pytest.approx(loss, abs=1e-4)


@pytest.mark.parametrize("weighting", FORMS)
@pytest.mark.parametrize("max_weight", [None, 2.0])
@pytest.mark.parametrize("strength", [0.25, 1.0])
def test_weights_have_mean_1_in_every_image(weighting, max_weight, strength):
    errors = torch.rand(8, 147) ** 4

    arl = config(weighting, max_weight=max_weight, strength=strength)
    weights = attention_weights(errors, arl, 1.0)

    assert (weights.mean(dim=1) - 1).abs().max() < 1e-5


@pytest.mark.parametrize("arl", [config("ratio", gamma=0.0), config("softmax", temperature=1e6)])
def test_weighting_without_contrast_is_the_plain_mean(arl):
    errors = torch.rand(4, 50)

    loss = attention_reconstruction_loss(errors, arl, 1.0)

    assert loss.item() == pytest.approx(errors.mean().item(), rel=1e-5)


@pytest.mark.parametrize("weighting", FORMS)
def test_weights_do_not_depend_on_the_scale_of_the_errors(weighting):
    errors = torch.rand(4, 50) + 0.1

    weights = attention_weights(1000 * errors, config(weighting), 1.0)

    expected = attention_weights(errors, config(weighting), 1.0)
    torch.testing.assert_close(weights, expected, rtol=1e-4, atol=1e-4)


def test_softmax_weights_do_not_depend_on_a_shift_of_the_errors():
    errors = torch.rand(4, 50)

    weights = attention_weights(errors + 3, config("softmax"), 1.0)

    torch.testing.assert_close(weights, attention_weights(errors, config("softmax"), 1.0))


@pytest.mark.parametrize("weighting", FORMS)
def test_gradient_of_an_error_is_its_weight(weighting):
    errors = torch.rand(2, 10, requires_grad=True)

    attention_reconstruction_loss(errors, config(weighting), 1.0).backward()

    torch.testing.assert_close(errors.grad * 20, attention_weights(errors, config(weighting), 1.0))


@pytest.mark.parametrize("weighting", ["none", *FORMS])
def test_weights_carry_no_gradient(weighting):
    errors = torch.rand(2, 10, requires_grad=True)

    assert not attention_weights(errors, config(weighting), 1.0).requires_grad


def test_clamped_weights_are_renormalised_once():
    weights = attention_weights(ERRORS, config("ratio", max_weight=2.0), 1.0)

    # (.2, .4, .6, 2) has mean .8
    assert weights[0].tolist() == pytest.approx([0.25, 0.5, 0.75, 2.5])


@pytest.mark.parametrize(
    ("progress", "largest"), [(0.0, 1.0), (0.05, 1.225), (0.1, 1.45), (1.0, 1.45)]
)
def test_weighting_ramps_up_to_its_strength(progress, largest):
    weights = attention_weights(ERRORS, config(strength=0.25, ramp_fraction=0.1), progress)

    assert weights.max().item() == pytest.approx(largest)


@pytest.mark.parametrize("weighting", FORMS)
@pytest.mark.parametrize("errors", [torch.zeros(2, 5), torch.full((2, 5), 0.3), torch.rand(2, 1)])
def test_equal_errors_weigh_equally(weighting, errors):
    weights = attention_weights(errors, config(weighting), 1.0)

    torch.testing.assert_close(weights, torch.ones_like(errors))


def test_loss_of_bf16_errors_is_float32():
    assert attention_reconstruction_loss(ERRORS.bfloat16(), config(), 1.0).dtype == torch.float32
