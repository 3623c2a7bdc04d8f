import math

import torch
from torch import Tensor

from rankscope.models.lora.gauge import canonical
from rankscope.models.lora.moments import Moments, grown, transported

BETA1, BETA2 = 0.9, 0.999


def randn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def moments_of(first: Tensor, second: Tensor, step: int = 50) -> Moments:
    return Moments(torch.tensor(float(step)), first, second, BETA1, BETA2)


def test_first_moments_follow_a_truncation_exactly() -> None:
    """If m_B = s G A' and m_A = s B' G, the moments after are s G A*' and s B*' G to rounding."""
    b, a, gradient, scale = randn(14, 6, seed=0), randn(6, 11, seed=1), randn(14, 11, seed=2), 1.5
    kept = canonical(b, a).first(4)
    moments_b = moments_of(scale * gradient @ a.T, torch.ones(14, 6))
    moments_a = moments_of(scale * b.T @ gradient, torch.ones(6, 11)).transposed()
    after_b = transported(moments_b, kept.change_b, kept.live)
    after_a = transported(moments_a, kept.change_a, kept.live)
    assert after_b is not None
    assert after_a is not None
    torch.testing.assert_close(after_b.first, scale * gradient @ kept.a.T, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(after_a.first.T, scale * kept.b.T @ gradient, atol=1e-12, rtol=1e-12)


def test_first_moments_follow_exactly_where_the_product_is_rank_deficient() -> None:
    """Rank 2 in five components: the two live ones are exact, the null ones start at zero."""
    b = randn(14, 2, seed=0) @ randn(2, 5, seed=1)
    a, gradient = randn(5, 11, seed=2), randn(14, 11, seed=3)
    gauge = canonical(b, a).first(4)
    after = transported(moments_of(gradient @ a.T, torch.ones(14, 5)), gauge.change_b, gauge.live)
    assert after is not None
    expected = gradient @ gauge.a.T * gauge.live
    torch.testing.assert_close(after.first, expected, atol=1e-11, rtol=1e-11)
    torch.testing.assert_close(after.second[:, 2], after.second[:, :2].mean(dim=1))


def test_second_moments_are_exact_where_components_are_only_permuted_and_scaled() -> None:
    first, second = randn(8, 3, seed=0), randn(8, 3, seed=1).square() + 1.0
    change = torch.tensor([[0.0, 2.0, 0.0], [0.0, 0.0, -0.5], [1.0, 0.0, 0.0]], dtype=torch.float64)
    after = transported(moments_of(first, second), change, torch.ones(3, dtype=torch.bool))
    assert after is not None
    torch.testing.assert_close(after.second, second @ change.square(), atol=1e-12, rtol=1e-12)


def test_the_second_moment_rule_beats_squaring_the_change() -> None:
    """ALGORITHMS 3.2's simulation: error against Adam run in the new gauge from the start."""
    b, a = randn(40, 8, seed=0), randn(8, 30, seed=1)
    gauge = canonical(b, a)
    mean = randn(40, 30, seed=2)
    old, new = torch.zeros(2, 40, 8).double(), torch.zeros(2, 40, 8).double()
    num_steps = 300
    for step in range(num_steps):
        gradient = mean + 2.0 * randn(40, 30, seed=100 + step)
        for moments, rows in ((old, a), (new, gauge.a)):
            sample = gradient @ rows.T
            moments[0] = BETA1 * moments[0] + (1 - BETA1) * sample
            moments[1] = BETA2 * moments[1] + (1 - BETA2) * sample.square()
    after = transported(moments_of(old[0], old[1], num_steps), gauge.change_b, gauge.live)
    assert after is not None
    torch.testing.assert_close(after.first, new[0], atol=1e-10, rtol=1e-10)
    naive = old[1] @ gauge.change_b.square()

    def error(second: Tensor) -> float:
        return float((second - new[1]).norm() / new[1].norm())

    assert error(after.second) < 0.75 * error(naive)


def test_second_moments_stay_finite_and_positive_after_one_step() -> None:
    """At step 1 the hats are g and g^2, so the rule gives exactly the squared new gradient."""
    b, a, gradient = randn(9, 4, seed=0), randn(4, 7, seed=1), randn(9, 7, seed=2)
    gauge = canonical(b, a)
    sample = gradient @ a.T
    moments = moments_of((1 - BETA1) * sample, (1 - BETA2) * sample.square(), step=1)
    after = transported(moments, gauge.change_b, gauge.live)
    assert after is not None
    expected = (1 - BETA2) * (gradient @ gauge.a.T).square()
    torch.testing.assert_close(after.second, expected, atol=1e-12, rtol=1e-9)


def test_moments_keep_their_dtype() -> None:
    b, a = randn(9, 4, seed=0), randn(4, 7, seed=1)
    gauge = canonical(b, a).first(2)
    moments = moments_of(torch.ones(9, 4), torch.ones(9, 4))
    after = transported(moments, gauge.change_b, gauge.live)
    assert after is not None
    assert after.first.dtype == after.second.dtype == torch.float32


def test_components_without_any_past_start_anew() -> None:
    moments = moments_of(torch.ones(5, 2), torch.ones(5, 2))
    assert transported(moments, torch.zeros(2, 1), torch.tensor([False])) is None


def test_new_components_start_at_zero_mean_and_the_mean_second_moment() -> None:
    """Rows (1, 3) and (5, 7): the new component's second moments are 2 and 6."""
    first, second = torch.ones(2, 2), torch.tensor([[1.0, 3.0], [5.0, 7.0]])
    after = grown(moments_of(first, second), num_new=2)
    assert after is not None
    assert after.first.tolist() == [[1, 1, 0, 0], [1, 1, 0, 0]]
    assert after.second.tolist() == [[1, 3, 2, 2], [5, 7, 6, 6]]


def test_a_factor_that_had_no_component_starts_anew() -> None:
    assert grown(moments_of(torch.zeros(4, 0), torch.zeros(4, 0)), num_new=3) is None


def test_a_zero_second_moment_beside_an_old_step_count_would_overshoot_three_times() -> None:
    """Why 3.3 forbids v = 0: the first update would be (1 - b1) / sqrt(1 - b2) = 3.16 rates."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.Adam([parameter], lr=1.0, betas=(BETA1, BETA2))
    optimizer.state[parameter] = {
        "step": torch.tensor(1e5),
        "exp_avg": torch.zeros(1),
        "exp_avg_sq": torch.zeros(1),
    }
    parameter.grad = torch.ones(1)
    optimizer.step()
    assert math.isclose(-parameter.item(), (1 - BETA1) / math.sqrt(1 - BETA2), rel_tol=1e-4)
