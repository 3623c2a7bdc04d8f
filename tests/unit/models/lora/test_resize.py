from collections.abc import Callable, Mapping, Sequence

import pytest
import torch
from accelerate.accelerator import Accelerator
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.gauge import canonical

MakeElasticLlama = Callable[[int | Mapping[str, int]], ElasticLora]
MakeElasticLinears = Callable[[Sequence[tuple[int, int]], Sequence[int]], ElasticLora]
PLENTY = 10**6


def adapters(elastic: ElasticLora) -> list[nn.Parameter]:
    return [p for name in elastic.ranks() for p in elastic.parameters_of(name)]


def product(elastic: ElasticLora, name: str) -> Tensor:
    a, b = elastic.parameters_of(name)
    return (elastic.layers.scale_of(name) * b @ a).detach()


def trained_linears(
    make: MakeElasticLinears, shapes: Sequence[tuple[int, int]], ranks: Sequence[int]
) -> tuple[ElasticLora, torch.optim.AdamW]:
    """Linears after five AdamW steps, with the optimizer."""
    elastic = make(shapes, ranks)
    optimizer = torch.optim.AdamW(adapters(elastic), lr=0.05)
    train_linears(elastic, optimizer, shapes, num_steps=5)
    return elastic, optimizer


def train_linears(
    elastic: ElasticLora,
    optimizer: torch.optim.Optimizer,
    shapes: Sequence[tuple[int, int]],
    num_steps: int,
) -> list[float]:
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(8, i, generator=generator, dtype=torch.float64) for i, _ in shapes]
    losses = []
    for _ in range(num_steps):
        optimizer.zero_grad()
        loss = elastic.peft_model(inputs)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def train_llama(
    elastic: ElasticLora,
    optimizer: torch.optim.Optimizer,
    batch: Mapping[str, Tensor],
    num_steps: int,
) -> list[float]:
    losses = []
    for _ in range(num_steps):
        optimizer.zero_grad()
        loss = elastic.peft_model(**batch).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_a_shrink_reports_the_error_that_the_dense_product_shows(
    make_elastic_linears: MakeElasticLinears,
) -> None:
    shapes = [(12, 20)]
    elastic, optimizer = trained_linears(make_elastic_linears, shapes, [7])
    before = product(elastic, "layers.0")
    (move,) = elastic.resize({"layers.0": 3}, optimizer, budget=PLENTY).modules
    dense = float((before - product(elastic, "layers.0")).norm())
    best = float(torch.linalg.svdvals(before)[3:].norm())
    assert (move.name, move.old_rank, move.new_rank) == ("layers.0", 7, 3)
    assert move.truncation_error == pytest.approx(dense, rel=1e-12)
    assert move.truncation_error == pytest.approx(best, rel=1e-12)
    assert move.predicted_error == pytest.approx(best, rel=1e-12)


def test_growth_leaves_the_function_as_it_was(
    make_elastic_llama: MakeElasticLlama, token_batch: dict[str, Tensor]
) -> None:
    elastic = make_elastic_llama(2)
    optimizer = torch.optim.AdamW(adapters(elastic), lr=0.01)
    train_llama(elastic, optimizer, token_batch, num_steps=3)
    names = list(elastic.ranks())
    kept = [tuple(p.detach().clone() for p in elastic.parameters_of(name)) for name in names]
    with torch.no_grad():
        before = elastic.peft_model(**token_batch).logits
        report = elastic.resize(dict.fromkeys(names, 5), optimizer, budget=PLENTY)
        after = elastic.peft_model(**token_batch).logits
    assert float((after - before).abs().max()) < 1e-6
    assert all(m.truncation_error == m.predicted_error == 0.0 for m in report.modules)
    for name, (old_a, old_b) in zip(names, kept, strict=True):
        a, b = elastic.parameters_of(name)
        assert torch.equal(a[:2], old_a)
        assert torch.equal(b[:, :2], old_b)
        assert not b[:, 2:].any()


def test_the_optimizers_first_moments_are_transported_exactly(
    make_elastic_linears: MakeElasticLinears,
) -> None:
    elastic, optimizer = trained_linears(make_elastic_linears, [(12, 20)], [7])
    a, b = elastic.parameters_of("layers.0")
    gauge = canonical(b, a).first(4)
    first_a, first_b = optimizer.state[a]["exp_avg"], optimizer.state[b]["exp_avg"]
    elastic.resize({"layers.0": 4}, optimizer, budget=PLENTY)
    new_a, new_b = elastic.parameters_of("layers.0")
    state_a, state_b = optimizer.state[new_a], optimizer.state[new_b]
    torch.testing.assert_close(state_b["exp_avg"], first_b @ gauge.change_b, atol=0, rtol=1e-13)
    torch.testing.assert_close(state_a["exp_avg"], gauge.change_a.T @ first_a, atol=0, rtol=1e-13)
    for state, parameter in ((state_a, new_a), (state_b, new_b)):
        assert state["exp_avg_sq"].shape == parameter.shape
        assert bool(state["exp_avg_sq"].isfinite().all())
        assert bool((state["exp_avg_sq"] >= 0).all())
        assert float(state["step"]) == 5.0
    assert a not in optimizer.state
    assert len(optimizer.state) == 2


@pytest.mark.parametrize("rank", [4, 9])
def test_moments_that_are_not_kept_start_anew_in_modules_that_move_alone(
    make_elastic_linears: MakeElasticLinears, rank: int
) -> None:
    elastic, optimizer = trained_linears(make_elastic_linears, [(12, 20), (12, 20)], [7, 7])
    elastic.keeps_moments = False
    elastic.resize({"layers.0": rank}, optimizer, budget=PLENTY)
    assert not any(optimizer.state.get(p) for p in elastic.parameters_of("layers.0"))
    assert all(optimizer.state[p]["step"] == 5 for p in elastic.parameters_of("layers.1"))


def test_new_components_start_with_the_mean_second_moment_and_take_no_leap(
    make_elastic_linears: MakeElasticLinears,
) -> None:
    shapes, learning_rate = [(12, 20)], 0.05
    elastic, optimizer = trained_linears(make_elastic_linears, shapes, [3])
    old_a, old_b = elastic.parameters_of("layers.0")
    second_a, second_b = (optimizer.state[p]["exp_avg_sq"] for p in (old_a, old_b))
    elastic.resize({"layers.0": 5}, optimizer, budget=PLENTY)
    a, b = elastic.parameters_of("layers.0")
    for row in (3, 4):
        assert not optimizer.state[a]["exp_avg"][row].any()
        torch.testing.assert_close(optimizer.state[a]["exp_avg_sq"][row], second_a.mean(dim=0))
        assert not optimizer.state[b]["exp_avg"][:, row].any()
        torch.testing.assert_close(optimizer.state[b]["exp_avg_sq"][:, row], second_b.mean(dim=1))
    train_linears(elastic, optimizer, shapes, num_steps=1)
    assert 0 < float(b[:, 3:].detach().abs().max()) < learning_rate


def test_rank_zero_passes_forward_and_backward_and_grows_again(
    make_elastic_llama: MakeElasticLlama, token_batch: dict[str, Tensor]
) -> None:
    elastic = make_elastic_llama(0)
    assert elastic.live_params() == 0
    optimizer = torch.optim.AdamW(adapters(elastic), lr=0.01)
    losses = train_llama(elastic, optimizer, token_batch, num_steps=2)
    assert losses[0] == losses[1]
    name = "model.layers.1.mlp.down_proj"
    elastic.resize({name: 2}, optimizer, budget=160)
    losses = train_llama(elastic, optimizer, token_batch, num_steps=3)
    assert losses[2] < losses[0]
    assert float(optimizer.state[elastic.parameters_of(name)[1]]["step"]) == 3.0
    elastic.resize({name: 0}, optimizer, budget=160)
    assert elastic.live_params() == 0
    assert train_llama(elastic, optimizer, token_batch, num_steps=1) == [losses[0]]


def accelerated(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    wrapped: torch.optim.Optimizer = Accelerator(cpu=True).prepare_optimizer(optimizer)
    return wrapped


@pytest.mark.parametrize("wrap", [lambda optimizer: optimizer, accelerated], ids=["bare", "accel"])
@pytest.mark.parametrize("fused", [False, True], ids=["foreach", "fused"])
def test_training_goes_on_through_three_resizes(
    make_elastic_llama: MakeElasticLlama,
    token_batch: dict[str, Tensor],
    fused: bool,
    wrap: Callable[[torch.optim.Optimizer], torch.optim.Optimizer],
) -> None:
    elastic = make_elastic_llama(2)
    names = list(elastic.ranks())
    half = len(names) // 2
    groups = [
        {"params": [p for name in names[:half] for p in elastic.parameters_of(name)], "lr": 0.01},
        {"params": [p for name in names[half:] for p in elastic.parameters_of(name)], "lr": 0.003},
    ]
    optimizer = wrap(torch.optim.AdamW(groups, fused=fused))
    budget = elastic.live_params()
    losses = train_llama(elastic, optimizer, token_batch, num_steps=4)
    for ranks in ((1, 2, 3), (0, 4, 2), (3, 1, 1)):
        table = {name: ranks[index % 3] for index, name in enumerate(names)}
        while elastic.inventory.params(table) > budget:
            table[max(table, key=lambda name: table[name])] -= 1
        report = elastic.resize(table, optimizer, budget=budget)
        assert report.max_live_params <= budget
        assert elastic.ranks() == table
        losses += train_llama(elastic, optimizer, token_batch, num_steps=4)
    assert losses[-1] < losses[0]
    assert all(torch.isfinite(p).all() for p in adapters(elastic))
    held = [p for group in optimizer.param_groups for p in group["params"]]
    assert [id(p) for p in held] == [id(p) for p in adapters(elastic)]
    assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.003]


def test_every_shrink_comes_before_the_first_growth_and_every_swap_is_counted(
    make_elastic_linears: MakeElasticLinears,
) -> None:
    """Costs 9, 13, 17 at ranks 1, 4, 2 = 95; to 4, 1, 2.

    A of layer 1 loses 3 rows of 6, its B 3 columns of 7; A of layer 0 gains 3 rows of 4, its B 3
    columns of 5.
    """
    elastic = make_elastic_linears([(4, 5), (6, 7), (8, 9)], [1, 4, 2])
    report = elastic.resize({"layers.0": 4, "layers.1": 1, "layers.2": 2}, None, budget=95)
    assert [m.name for m in report.modules] == ["layers.1", "layers.0"]
    assert report.samples == (95, 77, 56, 68, 83)
    assert report.max_live_params == 95


@st.composite
def rank_moves(draw: st.DrawFn) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    shapes = draw(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=5))
    table = st.tuples(*(st.integers(0, min(shape)) for shape in shapes)).map(list)
    return shapes, draw(table), draw(table)


@given(move=rank_moves())
@settings(deadline=None, max_examples=40)
def test_any_move_keeps_the_budget_the_function_bound_and_the_optimizer(
    make_elastic_linears: MakeElasticLinears,
    move: tuple[list[tuple[int, int]], list[int], list[int]],
) -> None:
    shapes, start, goal = move
    elastic, optimizer = trained_linears(make_elastic_linears, shapes, start)
    names = list(elastic.ranks())
    table = dict(zip(names, goal, strict=True))
    budget = max(elastic.live_params(), elastic.inventory.params(table))
    before = {name: product(elastic, name) for name in names}
    report = elastic.resize(table, optimizer, budget=budget)
    assert report.max_live_params <= budget
    assert report.samples[-1] == elastic.inventory.params(table)
    assert {m.name for m in report.modules} == {
        n for n, r in zip(names, start, strict=True) if table[n] != r
    }
    moved = {m.name: m for m in report.modules}
    for name in names:
        size = float(before[name].norm()) + 1.0
        change = float((product(elastic, name) - before[name]).norm())
        allowed = moved[name].predicted_error if name in moved else 0.0
        assert change == pytest.approx(allowed, abs=1e-12 * size, rel=1e-10)
        assert elastic.layers.by_name[name].scaling == {"default": 1.5}
    train_linears(elastic, optimizer, shapes, num_steps=2)
    assert all(torch.isfinite(p).all() for p in adapters(elastic))


def test_what_cannot_fit_is_refused_before_anything_moves(
    make_elastic_linears: MakeElasticLinears,
) -> None:
    elastic, optimizer = trained_linears(make_elastic_linears, [(4, 5), (6, 7)], [2, 2])
    before = adapters(elastic)
    with pytest.raises(ValueError, match="must fit budget=44, got 48 parameters; lower them"):
        elastic.resize({"layers.0": 1, "layers.1": 3}, optimizer, budget=44)
    assert all(p is q for p, q in zip(before, adapters(elastic), strict=True))
    assert elastic.num_resizes == 0


def test_unknown_modules_and_impossible_ranks_are_refused(
    make_elastic_linears: MakeElasticLinears,
) -> None:
    elastic = make_elastic_linears([(4, 5)], [2])
    with pytest.raises(ValueError, match=r"must name adapted modules, got 'layers\.7'"):
        elastic.resize({"layers.7": 1}, None, budget=PLENTY)
    with pytest.raises(ValueError, match=r"must lie in 0\.\.4 .* got 9; lower it"):
        elastic.resize({"layers.0": 9}, None, budget=PLENTY)


def test_an_optimizer_that_does_not_hold_the_adapters_is_refused(
    make_elastic_linears: MakeElasticLinears,
) -> None:
    elastic = make_elastic_linears([(4, 5)], [2])
    other = torch.optim.AdamW([nn.Parameter(torch.zeros(1))])
    with pytest.raises(ValueError, match=r"must be in the optimizer"):
        elastic.resize({"layers.0": 1}, other, budget=PLENTY)


def test_a_state_that_is_not_plain_adams_is_refused(
    make_elastic_linears: MakeElasticLinears,
) -> None:
    shapes = [(4, 5)]
    elastic = make_elastic_linears(shapes, [2])
    optimizer = torch.optim.AdamW(adapters(elastic), amsgrad=True)
    train_linears(elastic, optimizer, shapes, num_steps=1)
    with pytest.raises(ValueError, match=r"got also \['max_exp_avg_sq'\]"):
        elastic.resize({"layers.0": 1}, optimizer, budget=PLENTY)


def test_a_module_that_keeps_its_rank_is_not_touched(
    make_elastic_linears: MakeElasticLinears,
) -> None:
    elastic, optimizer = trained_linears(make_elastic_linears, [(4, 5), (6, 7)], [2, 2])
    parameters = elastic.parameters_of("layers.1")
    gradients = [p.grad for p in parameters]
    report = elastic.resize({"layers.0": 1, "layers.1": 2}, optimizer, budget=PLENTY)
    assert [m.name for m in report.modules] == ["layers.0"]
    assert all(p is q for p, q in zip(parameters, elastic.parameters_of("layers.1"), strict=True))
    assert all(p.grad is g for p, g in zip(parameters, gradients, strict=True))
    assert all(p.grad is None for p in elastic.parameters_of("layers.0"))


def test_an_untrained_module_shrinks_to_its_first_rows(
    make_elastic_llama: MakeElasticLlama,
) -> None:
    elastic = make_elastic_llama(4)
    name = "model.layers.0.self_attn.q_proj"
    before = elastic.parameters_of(name)[0].detach().clone()
    (move,) = elastic.resize({name: 2}, None, budget=PLENTY).modules
    a, b = elastic.parameters_of(name)
    assert torch.equal(a, before[:2])
    assert not b.any()
    assert move.truncation_error == move.predicted_error == 0.0


def test_every_event_draws_new_rows(make_elastic_linears: MakeElasticLinears) -> None:
    elastic = make_elastic_linears([(4, 5)], [2])
    drawn = [elastic.parameters_of("layers.0")[0].detach()]
    for _ in range(2):
        elastic.resize({"layers.0": 0}, None, budget=PLENTY)
        elastic.resize({"layers.0": 2}, None, budget=PLENTY)
        drawn.append(elastic.parameters_of("layers.0")[0].detach())
    assert not any(torch.equal(drawn[i], drawn[j]) for i, j in ((0, 1), (0, 2), (1, 2)))


def test_a_frozen_module_stays_frozen_and_needs_no_optimizer(
    make_elastic_linears: MakeElasticLinears,
) -> None:
    elastic = make_elastic_linears([(4, 5)], [2])
    for parameter in adapters(elastic):
        parameter.requires_grad_(False)
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))])
    elastic.resize({"layers.0": 1}, optimizer, budget=PLENTY)
    assert not any(p.requires_grad for p in adapters(elastic))
    assert all(p.dtype == torch.float64 and p.is_contiguous() for p in adapters(elastic))
    assert not optimizer.state
