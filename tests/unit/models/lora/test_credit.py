from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from rankscope.models.lora.credit import adapter_credit
from rankscope.models.lora.elastic import ElasticLora

MakeElasticLlama = Callable[[int | Mapping[str, int]], ElasticLora]


def item_losses(model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
    """Mean cross-entropy of every item."""
    logits_NTV = model(input_ids=batch["input_ids"]).logits[:, :-1]
    return functional.cross_entropy(
        logits_NTV.transpose(1, 2), batch["labels"][:, 1:], reduction="none"
    ).mean(dim=1)


def stirred(elastic: ElasticLora, *, std: float) -> ElasticLora:
    """The same adapters with a B that is not zero."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name in elastic.ranks():
            elastic.parameters_of(name)[1].normal_(std=std, generator=generator)
    return elastic


def test_credit_is_minus_the_gradient_of_b_times_b_item_by_item(
    make_elastic_llama: MakeElasticLlama, token_batch: dict[str, Tensor]
) -> None:
    elastic = stirred(make_elastic_llama(2), std=0.3)
    credit_NM, losses_N = adapter_credit(elastic, [token_batch], item_losses)
    factors = [elastic.parameters_of(name)[1] for name in elastic.ranks()]
    for item in range(4):
        one = {key: value[item : item + 1] for key, value in token_batch.items()}
        loss = item_losses(elastic.peft_model.eval(), one).sum()
        gradients = torch.autograd.grad(loss, factors)
        expected = [-float((g * b.detach()).sum()) for g, b in zip(gradients, factors, strict=True)]
        assert credit_NM[item].tolist() == pytest.approx(expected, rel=1e-3, abs=1e-6)
        assert float(losses_N[item]) == pytest.approx(loss.item(), rel=1e-5)


def test_credit_foretells_the_rise_of_the_loss_when_a_small_adapter_is_off(
    make_elastic_llama: MakeElasticLlama, token_batch: dict[str, Tensor]
) -> None:
    elastic = stirred(make_elastic_llama(2), std=2e-4)
    elastic.peft_model.double()
    credit_NM, losses_N = adapter_credit(elastic, [token_batch], item_losses)
    for column, name in enumerate(elastic.ranks()):
        with elastic.switched_off([name]), torch.no_grad():
            rise_N = item_losses(elastic.peft_model.eval(), token_batch) - losses_N
        assert rise_N.tolist() == pytest.approx(credit_NM[:, column].tolist(), rel=0.01, abs=1e-7)


def test_empty_and_untrained_adapters_have_no_credit(
    make_elastic_llama: MakeElasticLlama, token_batch: dict[str, Tensor]
) -> None:
    for rank in (0, 2):
        credit_NM, losses_N = adapter_credit(make_elastic_llama(rank), [token_batch], item_losses)
        assert credit_NM.shape == (4, 14)
        assert not credit_NM.any()
        assert losses_N.all()


def test_one_batch_or_several_give_the_same_credit(
    make_elastic_llama: MakeElasticLlama, token_batch: dict[str, Tensor]
) -> None:
    elastic = stirred(make_elastic_llama(1), std=0.3)
    whole_NM, _ = adapter_credit(elastic, [token_batch], item_losses)
    parts = [{k: v[s] for k, v in token_batch.items()} for s in (slice(1), slice(1, 4))]
    split_NM, _ = adapter_credit(elastic, parts, item_losses)
    torch.testing.assert_close(split_NM, whole_NM, rtol=1e-4, atol=1e-6)


def test_gradients_mode_and_hooks_are_left_as_they_were(
    make_elastic_llama: MakeElasticLlama, token_batch: dict[str, Tensor]
) -> None:
    elastic = stirred(make_elastic_llama(1), std=0.3)
    elastic.peft_model(**token_batch).loss.backward()
    before = [p.grad.clone() for p in elastic.peft_model.parameters() if p.grad is not None]
    with torch.no_grad():
        adapter_credit(elastic, [token_batch], item_losses)
    after = [p.grad for p in elastic.peft_model.parameters() if p.grad is not None]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert elastic.peft_model.training
    assert not any(elastic.layers.linear(name, "B")._forward_hooks for name in elastic.ranks())


def test_no_batch_is_refused(make_elastic_llama: MakeElasticLlama) -> None:
    with pytest.raises(ValueError, match="at least one batch, got none"):
        adapter_credit(make_elastic_llama(1), [], item_losses)
