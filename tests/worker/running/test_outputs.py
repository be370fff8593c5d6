from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from torch import distributions
from torch.nn.utils.rnn import pack_padded_sequence

from gradlint.worker.running.failure import UserError
from gradlint.worker.running.outputs import loss_of, tensors_of


def leaf(*shape: int) -> torch.Tensor:
    return torch.randn(shape, requires_grad=True)


@dataclass
class Output:
    logits: torch.Tensor
    loss: torch.Tensor | None = None


class TestTensorsOf:
    def test_it_finds_tensors_in_nested_containers_in_their_order(self) -> None:
        a, b, c, d = leaf(1), leaf(2), leaf(3), leaf(4)
        assert tensors_of((a, [b, {"c": c}], Output(d))) == (a, b, c, d)

    def test_it_lists_a_tensor_that_appears_twice_once(self) -> None:
        a = leaf(2)
        assert len(tensors_of((a, {"again": a}))) == 1

    def test_it_leaves_out_integers_and_detached_tensors(self) -> None:
        assert tensors_of((torch.arange(3), torch.randn(3), leaf(3).detach())) == ()

    def test_it_keeps_complex_tensors(self) -> None:
        value = torch.randn(3, dtype=torch.complex64, requires_grad=True)
        assert tensors_of(value) == (value,)

    def test_it_looks_into_namespaces(self) -> None:
        a = leaf(2)
        assert tensors_of(SimpleNamespace(logits=a, name="x")) == (a,)

    def test_it_takes_the_tensors_that_an_object_of_the_user_holds(self) -> None:
        class Mixture:
            def __init__(self, weights: torch.Tensor, means: torch.Tensor) -> None:
                self.weights, self.means, self.count = weights, means, 3

        a, b, c = leaf(1), leaf(2), leaf(3)
        assert tensors_of((Mixture(a, b), c)) == (a, b, c)

    def test_it_takes_no_parameters_of_a_module_in_the_output(self) -> None:
        assert tensors_of((torch.nn.Linear(2, 3), a := leaf(2))) == (a,)

    def test_it_stops_at_containers_that_contain_themselves(self) -> None:
        a = leaf(2)
        loop: list[object] = [a]
        loop.append(loop)
        assert tensors_of(loop) == (a,)

    def test_it_takes_the_given_parameters_of_a_distribution_once(self) -> None:
        logits = leaf(2, 3)
        categorical = distributions.Categorical(logits=logits)
        _ = categorical.probs
        assert len(tensors_of(categorical)) == 1

    def test_it_takes_the_base_of_a_wrapped_distribution(self) -> None:
        mean = leaf(2, 3)
        wrapped = distributions.Independent(distributions.Normal(mean, mean.exp()), 1)
        assert len(tensors_of(wrapped)) == 2

    def test_it_takes_the_data_of_a_packed_sequence(self) -> None:
        packed = pack_padded_sequence(leaf(2, 3, 4), torch.tensor([3, 2]), batch_first=True)
        assert [tuple(tensor.shape) for tensor in tensors_of(packed)] == [(5, 4)]

    def test_it_leaves_out_the_cache_of_keys_and_values(self) -> None:
        a = leaf(2)
        assert tensors_of({"logits": a, "past_key_values": ((leaf(1), leaf(1)),)}) == (a,)


class TestLossOf:
    def test_a_scalar_output_is_its_own_loss(self) -> None:
        loss = leaf(4).square().mean()
        assert loss_of(loss) is not None
        assert loss_of(loss).item() == loss.item()

    def test_a_loss_in_a_mapping_is_used(self) -> None:
        loss = leaf(4).square().mean()
        assert loss_of({"logits": leaf(4), "loss": loss}).item() == loss.item()

    def test_a_loss_in_a_dataclass_is_used(self) -> None:
        loss = leaf(4).square().mean()
        assert loss_of(Output(leaf(4), loss)).item() == loss.item()

    def test_losses_that_are_all_there_is_are_summed(self) -> None:
        one, two = leaf(4).square().mean(), leaf(4).square().mean()
        assert loss_of({"box": one, "class": two}).item() == pytest.approx((one + two).item())

    def test_its_gradient_does_not_vanish_at_zero(self) -> None:
        output = torch.zeros(8, 10, requires_grad=True)
        loss_of(output).backward()
        assert output.grad is not None
        assert output.grad.norm().item() == pytest.approx(1.0, rel=0.3)

    def test_it_neither_reads_nor_moves_the_global_random_state(self) -> None:
        output = leaf(8, 10)
        torch.manual_seed(1)
        state = torch.get_rng_state()
        first = loss_of(output)
        assert torch.equal(state, torch.get_rng_state())
        torch.manual_seed(2)
        assert loss_of(output).item() == first.item()

    def test_complex_and_half_precision_outputs_give_a_real_scalar(self) -> None:
        signal = torch.randn(4, dtype=torch.complex64, requires_grad=True)
        half = torch.randn(4, dtype=torch.bfloat16, requires_grad=True)
        loss = loss_of((signal, half))
        loss.backward()
        assert loss.shape == ()
        assert not loss.is_complex()
        assert signal.grad is not None
        assert half.grad is not None

    def test_an_output_without_gradient_is_an_error_of_the_forward_pass(self) -> None:
        with pytest.raises(UserError) as caught:
            loss_of(torch.randn(3))
        assert caught.value.stage == "forward"
        assert "no tensor with a gradient" in str(caught.value.error)
