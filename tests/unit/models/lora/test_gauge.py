import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rankscope.models.lora.gauge import canonical, distance


def factors(
    d_out: int, d_in: int, rank: int, seed: int, true_rank: int | None = None
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    b = draw(d_out, rank)
    if true_rank is not None:
        b = draw(d_out, true_rank) @ draw(true_rank, rank)
    return b, draw(rank, d_in)


@st.composite
def shapes(draw: st.DrawFn) -> tuple[int, int, int, int]:
    """d_out, d_in, rank and a smaller or equal rank to keep."""
    d_out, d_in = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    rank = draw(st.integers(1, min(d_out, d_in)))
    return d_out, d_in, rank, draw(st.integers(0, rank))


@given(shapes(), st.integers(0, 1000))
@settings(deadline=None, max_examples=60)
def test_truncation_is_the_best_approximation_of_its_rank(
    shape: tuple[int, int, int, int], seed: int
) -> None:
    """Eckart-Young: the error equals the norm of the dense product's dropped singular values."""
    d_out, d_in, rank, keep = shape
    b, a = factors(d_out, d_in, rank, seed)
    kept = canonical(b, a).first(keep)
    dense = torch.linalg.svdvals(b @ a)
    best = float(torch.linalg.vector_norm(dense[keep:rank]))
    size = float(dense[0])
    assert kept.b.shape == (d_out, keep)
    assert kept.a.shape == (keep, d_in)
    assert float(torch.linalg.matrix_norm(b @ a - kept.b @ kept.a)) == pytest.approx(
        best, abs=1e-13 * size, rel=1e-12
    )
    assert kept.dropped_norm() == pytest.approx(best, abs=1e-13 * size, rel=1e-12)
    assert distance(b, a, kept.b, kept.a) == pytest.approx(best, abs=1e-13 * size, rel=1e-12)


def test_the_full_gauge_is_the_same_product_in_balanced_factors() -> None:
    b, a = factors(20, 12, 7, seed=1)
    gauge = canonical(b, a)
    torch.testing.assert_close(gauge.b @ gauge.a, b @ a, atol=1e-13, rtol=1e-13)
    spectrum = torch.diag(gauge.singular)
    torch.testing.assert_close(gauge.b.T @ gauge.b, spectrum, atol=1e-12, rtol=0)
    torch.testing.assert_close(gauge.a @ gauge.a.T, spectrum, atol=1e-12, rtol=0)


def test_the_gauge_depends_on_the_product_alone() -> None:
    b, a = factors(20, 12, 5, seed=2)
    change = torch.randn(5, 5, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    one, other = canonical(b, a), canonical(b @ change, torch.linalg.solve(change, a))
    torch.testing.assert_close(other.b, one.b, atol=1e-10, rtol=0)
    torch.testing.assert_close(other.a, one.a, atol=1e-10, rtol=0)
    assert bool((one.b.gather(0, one.b.abs().argmax(0)[None]) > 0).all())


def test_an_untrained_product_keeps_its_first_rows() -> None:
    _, a = factors(9, 8, 4, seed=3)
    kept = canonical(torch.zeros(9, 4, dtype=torch.float64), a).first(2)
    assert torch.equal(kept.a, a[:2])
    assert not kept.b.any()
    assert torch.equal(kept.change_b, torch.eye(4, dtype=torch.float64)[:, :2])


@pytest.mark.parametrize("true_rank", [1, 2])
def test_null_components_keep_orthonormal_rows_and_a_zero_column(true_rank: int) -> None:
    b, a = factors(10, 9, 6, seed=4, true_rank=true_rank)
    gauge = canonical(b, a)
    null = ~gauge.live
    assert gauge.live.tolist() == [True] * true_rank + [False] * (6 - true_rank)
    rows = gauge.a[null]
    torch.testing.assert_close(rows @ rows.T, torch.eye(6 - true_rank, dtype=torch.float64))
    assert not gauge.b[:, null].any()
    assert not gauge.change_b[:, null].any()
    assert not gauge.change_a[:, null].any()
    assert all(bool(t.isfinite().all()) for t in (gauge.b, gauge.a, gauge.change_b, gauge.change_a))
    torch.testing.assert_close(gauge.b @ gauge.a, b @ a, atol=1e-9, rtol=0)


def test_a_product_that_is_zero_without_a_zero_factor_is_all_null() -> None:
    b, a = factors(6, 5, 3, seed=5)
    gauge = canonical(b, torch.zeros_like(a))
    assert not gauge.live.any()
    assert not gauge.b.any()
    assert bool(gauge.a.isfinite().all())
