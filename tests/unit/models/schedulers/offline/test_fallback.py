from rankscope.models.schedulers.offline.fallback import best_static_rule
from rankscope.models.schedulers.offline.model import StaticRule
from rankscope.models.schedulers.offline.past_runs import PastRun, comparable
from tests.unit.models.schedulers.offline.planted import MODULES


def run(family: str, group: str, rule: StaticRule | None, loss: float) -> PastRun:
    """Each rule has an allocation of its own."""
    return PastRun(
        id=f"{family} {group} {rule} {loss}",
        family=family,
        task=family,
        group=f"{family} {group}",
        seed=0,
        rule=rule,
        log_ranks={MODULES[0].name: float(len(rule or ""))},
        loss=loss,
        num_items=10,
        train_s=1.0,
    )


def best(*runs: PastRun) -> StaticRule:
    return best_static_rule(comparable(runs, MODULES)[0])


def test_uniform_where_no_two_rules_were_compared() -> None:
    assert best() == "uniform"
    assert best(run("a", "1", "mlp", 1.0), run("a", "1", None, 0.5)) == "uniform"


def test_the_rule_of_lowest_mean_rank_over_groups_and_families() -> None:
    """mlp is first, first and second in one family, last in the other; a family counts once.

    Scaled ranks: a: mlp (0 + 0 + 1) / 3, uniform 2 / 3; b: mlp 1, uniform 0. Means 0.67 and 0.33.
    """
    family_a = [
        *(run("a", "1", "mlp", 1.0), run("a", "1", "uniform", 1.1)),
        *(run("a", "2", "mlp", 1.0), run("a", "2", "uniform", 1.1)),
        *(run("a", "3", "mlp", 1.2), run("a", "3", "uniform", 1.1)),
    ]
    family_b = [run("b", "1", "mlp", 1.3), run("b", "1", "uniform", 1.1)]
    assert best(*family_a) == "mlp"
    assert best(*family_a, *family_b) == "uniform"


def test_a_rule_that_was_not_tried_everywhere_does_not_win() -> None:
    runs = [
        *(run("a", "1", "mlp", 1.0), run("a", "1", "uniform", 1.1), run("a", "1", "late", 0.5)),
        *(run("b", "1", "mlp", 1.0), run("b", "1", "uniform", 1.1)),
    ]
    assert best(*runs) == "mlp"


def test_a_tie_goes_to_uniform() -> None:
    assert best(run("a", "1", "mlp", 1.0), run("a", "1", "uniform", 1.0)) == "uniform"
