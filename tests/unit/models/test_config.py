"""The description of a run: what it accepts, what it refuses in one line, what its hash says."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankscope.models.budgets import MegabyteBudget, ParamsBudget, RankBudget
from rankscope.models.config import RunConfig
from rankscope.models.inventory import AdaptableModule, Inventory
from rankscope.models.reading import ConfigError, load_config, parse_config, parse_scheduler
from rankscope.models.schedulers.hydra import Hydra
from rankscope.models.schedulers.static import Static
from rankscope.models.training_settings import DampedEarlyRates, FlatRates, GeometricRates

DATA = {"data": {"kind": "easy_vqa"}}

INVENTORY = Inventory(
    modules=tuple(
        AdaptableModule(name=kind, part="language", layer=0, type=kind, d_in=8, d_out=d_out)
        for kind, d_out in (("q_proj", 8), ("up_proj", 24))
    ),
    total_params=1000,
)
"""16 + 32 = 48 parameters per rank."""

SCHEDULERS: tuple[dict[str, Any], ...] = (
    {"kind": "uniform"},
    {"kind": "random", "draw": 3},
    {"kind": "static", "where": "pattern", "pattern": "mlp"},
    {"kind": "fixed", "ranks": {"a.q_proj": 3}, "lr_factors": {"a.q_proj": 0.5}},
    {"kind": "gradient", "num_items": 7},
    {"kind": "hydra", "probe_items": 8, "freeze_fraction": 0.7},
    {"kind": "adalora", "beta1": 0.5, "live_budget": "held"},
    {"kind": "dora"},
    {"kind": "eva", "rho": 1},
    {"kind": "lora_ga", "direction": "ArBr"},
    {"kind": "full"},
)


def yaml_file(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(raw: dict[str, Any]) -> str:
    """The message of a refused config, seen to be a single line."""
    with pytest.raises(ConfigError) as caught:
        parse_config(raw)
    message = str(caught.value)
    assert "\n" not in message
    return message


# --- reading ---------------------------------------------------------------------------------


def test_a_file_with_overrides_is_the_config_it_spells(tmp_path: Path) -> None:
    path = yaml_file(
        tmp_path,
        "name: first\ndata: {kind: easy_vqa}\nscheduler: {kind: hydra}\noptimizer: {lr: 0.5}\n",
    )
    config = load_config(
        path,
        [
            "optimizer.lr=0.25",
            "scheduler.probe_items=8",
            "optimizer.layer_rates={kind: geometric, ratio: 0.5}",
            "tags=[a, b]",
            "name=x=y",
        ],
    )
    assert config == parse_config(
        {
            "name": "x=y",
            "tags": ["a", "b"],
            "data": {"kind": "easy_vqa"},
            "scheduler": {"kind": "hydra", "probe_items": 8},
            "optimizer": {"lr": 0.25, "layer_rates": {"kind": "geometric", "ratio": 0.5}},
        }
    )


def test_the_later_override_wins(tmp_path: Path) -> None:
    path = yaml_file(tmp_path, "data: {kind: easy_vqa}")
    assert load_config(path, ["seed=1", "seed=2"]).seed == 2


def test_another_kind_drops_the_keys_of_the_old_one(tmp_path: Path) -> None:
    path = yaml_file(tmp_path, "{data: {kind: easy_vqa}, scheduler: {kind: hydra, probe_items: 8}}")
    scheduler = load_config(path, ["scheduler.kind=static", "scheduler.where=late"]).scheduler
    assert scheduler == Static(where="late")
    same = load_config(path, ["scheduler.kind=hydra"]).scheduler
    assert same == Hydra(probe_items=8)


def test_an_override_makes_the_sections_it_needs(tmp_path: Path) -> None:
    path = yaml_file(tmp_path, "{}")
    config = load_config(path, ["data.kind=scenes", "data.task=hues", "budget.unit=rank"])
    assert (config.data.kind, config.budget) == ("scenes", RankBudget())


@pytest.mark.parametrize("scheduler", SCHEDULERS, ids=lambda s: str(s["kind"]))
def test_every_scheduler_survives_json(scheduler: dict[str, Any]) -> None:
    config = parse_config(DATA | {"scheduler": scheduler})
    again = RunConfig.model_validate_json(config.model_dump_json())
    assert again == config
    assert again.hash() == config.hash()
    assert again.scheduler.model_dump().items() >= scheduler.items()


# --- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"sheduler": {"kind": "uniform"}},
            'sheduler is not a known key, got {"kind": "uniform"}; '
            "remove it or correct its spelling",
        ),
        (
            {"optimizer": {"momentum": 0.9}},
            "optimizer.momentum is not a known key, got 0.9; remove it or correct its spelling",
        ),
        (
            {"scheduler": {"kind": "hydra", "probe": 3}},
            "scheduler.probe is not a known key, got 3; remove it or correct its spelling",
        ),
        (
            {"optimizer": {"layer_rates": {"kind": "geometric", "factor": 1}}},
            "optimizer.layer_rates.factor is not a known key, got 1; "
            "remove it or correct its spelling",
        ),
        (
            {"scheduler": {"kind": "hidra"}},
            "scheduler.kind must be one of 'uniform', 'random', 'static', 'fixed', 'gradient', "
            "'gora', 'elalora', 'para', 'hydra', 'adalora', 'dora', 'eva', 'lora_ga', "
            "'full', got 'hidra'; choose one",
        ),
        (
            {"data": {"kind": "gqa"}},
            "data.kind must be one of 'scenes', 'easy_vqa', 'emoji', 'files', 'hub', got 'gqa'; "
            "choose one",
        ),
        (
            {"model": {"kind": "llava"}},
            "model.kind must be one of 'embedded', 'mobilevlm', 'smol', 'hub', got 'llava'; "
            "choose one",
        ),
        ({"scheduler": {}}, "scheduler.kind is required and missing; add it"),
        ({"budget": {"unit": "params"}}, "budget.value is required and missing; add it"),
        (
            {"training": {"steps": "many"}},
            'training.steps must be a whole number, got "many"; change it',
        ),
        (
            {"scheduler": {"kind": "hydra", "probe_items": 1}},
            "scheduler.probe_items must be at least 2, got 1; raise it",
        ),
        (
            {"optimizer": {"lr": 0}},
            "optimizer.lr must be above 0, got 0; raise it",
        ),
        (
            {"optimizer": {"lr": 2}},
            "optimizer.lr must be at most 1, got 2; lower it",
        ),
        (
            {"seed": -1},
            "seed must be at least 0, got -1; raise it",
        ),
        (
            {"seed": 2**32},
            "seed must be at most 4,294,967,295, got 4294967296; lower it",
        ),
        (
            {"lora": {"min_rank": 5, "max_rank": 4}},
            "lora.min_rank must not exceed lora.max_rank=4, got 5; lower it",
        ),
        (
            {"lora": {"min_rank": 2, "rank_multiple": 4}},
            "lora.min_rank must be a multiple of lora.rank_multiple=4, got 2; round it",
        ),
        (
            {"lora": {"max_rank": 3, "rank_multiple": 4}},
            "lora.max_rank must be at least lora.rank_multiple=4, got 3; raise it",
        ),
        (
            {"lora": {"pins": {"q_proj": 17}}},
            "lora.pins must lie within lora.min_rank=0 and lora.max_rank=16, got 17 for 'q_proj'; "
            "change the pin or the bounds",
        ),
        (
            {"lora": {"pins": {"q_proj": 6}, "rank_multiple": 4}},
            "lora.pins must be multiples of lora.rank_multiple=4, got 6 for 'q_proj'; round it",
        ),
        (
            {"lora": {"pins": {"q_(proj": 1}}},
            "lora.pins must be regular expressions, got 'q_(proj' (missing ), unterminated "
            "subpattern at position 2); mend it",
        ),
        (
            {"lora": {"pins": {"q_proj": -1}}},
            "lora.pins.q_proj must be at least 0, got -1; raise it",
        ),
        (
            {"scheduler": {"kind": "adalora"}, "lora": {"pins": {"q_proj": 1}}},
            "lora.pins must be {} with scheduler adalora, which sets ranks by itself, "
            "got {'q_proj': 1}; leave it out or choose another scheduler",
        ),
        (
            {"scheduler": {"kind": "full"}, "lora": {"rank_multiple": 2}},
            "lora.rank_multiple must be 1 with scheduler full, which sets ranks by itself, got 2; "
            "leave it out or choose another scheduler",
        ),
        (
            {"tags": ["a", "b", "a"]},
            "tags must be distinct, got ['a', 'b', 'a']; remove the repeated one",
        ),
        (
            {"scheduler": {"kind": "adalora"}, "lora": {"scaling": "rslora"}},
            "lora.scaling must be constant with scheduler adalora, which has no scale by rank, "
            "got rslora; leave it out or choose another scheduler",
        ),
        (
            {"scheduler": {"kind": "full"}, "optimizer": {"b_lr_ratio": 4}},
            "optimizer.b_lr_ratio must be 1 with scheduler full, which trains no LoRA B, got 4; "
            "leave it out or choose another scheduler",
        ),
        (
            {"lora": {"parts": []}, "training": {"full_parts": ["projector"]}},
            "lora.parts must name at least one part with scheduler uniform, whose adapters need a "
            "place, got none; name one, or choose scheduler full",
        ),
        (
            {"scheduler": {"kind": "full"}, "lora": {"parts": []}},
            "training.full_parts must name at least one part where lora.parts names none, got "
            "none; name what is to be trained",
        ),
        *(
            (
                {"model": {"kind": "hub", "source": "a/b", "precision": "nf4"}, **trained},
                "model.precision must be fp32, bf16 or fp16 for own weights to be trained, got "
                "nf4; choose one, or train adapters alone",
            )
            for trained in (
                {"scheduler": {"kind": "full"}},
                {"training": {"full_parts": ["projector"]}},
            )
        ),
    ],
    ids=lambda value: None if isinstance(value, str) else json.dumps(value),
)
def test_bad_values_are_refused_with_rule_value_and_remedy(
    change: dict[str, Any], message: str
) -> None:
    assert refusal(DATA | change) == message


def test_a_learning_rate_that_is_no_number_is_refused() -> None:
    message = refusal(DATA | {"optimizer": {"lr": float("nan")}})
    assert message.startswith("optimizer.lr must be ")
    assert message.endswith("got NaN; change it")


def test_a_config_without_data_is_refused() -> None:
    assert refusal({}) == "data is required and missing; add it"


def test_all_that_is_wrong_is_said_in_one_line() -> None:
    message = refusal({"seed": -1, "training": {"steps": 0}})
    assert message.count("; raise it") == 2
    assert message.count("; add it") == 1


def test_a_long_value_is_shown_shortened() -> None:
    message = refusal(DATA | {"nmae": "x" * 5000})
    assert message.startswith('nmae is not a known key, got "xxx')
    assert len(message) < 200


@pytest.mark.parametrize(
    ("text", "rule", "remedy"),
    [
        ("data: [easy_vqa", "the config must be YAML", "mend it"),
        ("- data", "must be a mapping of keys", "start from a file in configs/"),
        ("", "must be a mapping of keys", "start from a file in configs/"),
    ],
)
def test_a_file_that_holds_no_keys_is_refused(
    tmp_path: Path, text: str, rule: str, remedy: str
) -> None:
    path = yaml_file(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    message = str(caught.value)
    assert "\n" not in message
    assert rule in message
    assert str(path) in message
    assert message.endswith(remedy)


def test_a_file_of_bytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "picture.yaml"
    path.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(ConfigError, match=r"must be YAML, .*picture\.yaml is not"):
        load_config(path)


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_missing_file_or_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"must be a readable file, got .*; check the path$"):
        load_config(tmp_path / name)


@pytest.mark.parametrize("override", ["seed", "=1", "optimizer.=1", ".seed=1", ""])
def test_an_override_without_key_or_value_is_refused(tmp_path: Path, override: str) -> None:
    path = yaml_file(tmp_path, "data: {kind: easy_vqa}")
    with pytest.raises(ConfigError, match=r"must read key\.key=value, got .*--set seed=1"):
        load_config(path, [override])


def test_an_override_below_a_value_is_refused(tmp_path: Path) -> None:
    path = yaml_file(tmp_path, "seed: 3\ndata: {kind: easy_vqa}")
    with pytest.raises(ConfigError, match=r"^seed in 'seed\.a' holds a value, not keys; shorten"):
        load_config(path, ["seed.a=1"])


def test_an_override_that_is_not_yaml_is_refused(tmp_path: Path) -> None:
    path = yaml_file(tmp_path, "data: {kind: easy_vqa}")
    with pytest.raises(ConfigError, match=r"the value of name must be YAML, got '\['; quote it"):
        load_config(path, ["name=["])


def test_a_scheduler_alone_is_read_and_refused_as_in_a_config() -> None:
    assert parse_scheduler("random", ["draw=2"]).model_dump(exclude_defaults=True) == {"draw": 2}
    for kind, overrides, message in (
        ("hidra", None, r"^scheduler\.kind must be one of 'uniform', .* got 'hidra'; choose one$"),
        ("random", ["drow=2"], r"^scheduler\.drow is not a known key, got 2; remove it"),
        ("random", ["draw=-1"], r"^scheduler\.draw must .* got -1; raise it$"),
    ):
        with pytest.raises(ConfigError, match=message):
            parse_scheduler(kind, overrides)


# --- what the hash says ----------------------------------------------------------------------


def test_the_hash_ignores_name_and_tags_only() -> None:
    base = parse_config(DATA)
    assert parse_config(DATA | {"name": "x", "tags": ["y"]}).hash() == base.hash()
    changes: list[dict[str, Any]] = [
        {"data": {"kind": "easy_vqa", "seed": 1}},
        {"seed": 1},
        {"budget": {"unit": "rank", "value": 2}},
        {"scheduler": {"kind": "hydra"}},
        {"lora": {"scale": 1.0}},
        {"optimizer": {"lr": 0.5}},
        {"training": {"steps": 9}},
        {"evaluation": {"every_steps": 9}},
        {"checkpoint": {"every_s": 9}},
    ]
    hashes = {parse_config(DATA | change).hash() for change in changes}
    assert len(hashes | {base.hash()}) == len(changes) + 1
    named = {"name", "tags", "version", "model"}
    assert named | {key for change in changes for key in change} == set(RunConfig.model_fields)


def test_a_setting_that_joined_later_leaves_recorded_runs_their_hash() -> None:
    """The hash of this configuration before any setting of several processes was there."""
    recorded = parse_config({"data": {"kind": "emoji"}, "training": {"steps": 7}})
    assert recorded.hash() == "e05a3fda15ada06dd9ddd484c787d4e74c5e4b270e5ecf0554d65a653a977477"
    for changes in (
        {"training": {"steps": 7, "num_processes": 2}},
        {"training": {"steps": 7, "compile_layers": True}},
        {"training": {"steps": 7}, "data": {"kind": "emoji", "pictures": "fluent"}},
    ):
        assert parse_config({"data": {"kind": "emoji"}} | changes).hash() != recorded.hash()


def test_equal_configs_written_in_another_order_have_one_text_and_one_hash() -> None:
    one = parse_config(DATA | {"lora": {"parts": ["vision", "language"]}})
    other = parse_config({"lora": {"parts": ["language", "vision"]}} | DATA)
    assert one.hash() == other.hash()
    assert one.model_dump_json() == other.model_dump_json()
    assert parse_config(json.loads(one.model_dump_json())) == one


# --- budgets and rates -----------------------------------------------------------------------


def test_budgets_resolve_to_hand_worked_integers() -> None:
    """48 parameters per rank.

    Rank 2.5: 2.5 * 48 = 120. Rank 1.3: 62.4, rounded down to 62. 1 MB = 10^6 / 4 = 250,000
    float32; 0.001 MB = 250; 0.000003 MB = 3 bytes pay for none.
    """
    assert RankBudget(value=2.5).params(INVENTORY) == 120
    assert RankBudget(value=1.3).params(INVENTORY) == 62
    assert ParamsBudget(value=77).params(INVENTORY) == 77
    assert MegabyteBudget(value=1).params(INVENTORY) == 250_000
    assert MegabyteBudget(value=0.001).params(INVENTORY) == 250
    assert MegabyteBudget(value=0.000003).params(INVENTORY) == 0


@given(st.floats(0.001, 1024))
def test_a_budget_in_ranks_never_rounds_up(value: float) -> None:
    params = RankBudget(value=value).params(INVENTORY)
    assert params <= value * INVENTORY.params_per_rank < params + 1


def test_layer_rates_by_hand() -> None:
    """Six layers. Damped early: layers below 0.5 * 6 = 3 get 0.3.

    Of five layers, below 2.5: three. Geometric 0.5: 1 in the last layer, halved per layer below.
    """
    damped = DampedEarlyRates()
    assert [damped.factor(layer, 6) for layer in range(6)] == [0.3, 0.3, 0.3, 1, 1, 1]
    assert [damped.factor(layer, 5) for layer in range(5)] == [0.3, 0.3, 0.3, 1, 1]
    geometric = GeometricRates(ratio=0.5)
    assert [geometric.factor(layer, 4) for layer in range(4)] == [0.125, 0.25, 0.5, 1]
    assert [FlatRates().factor(layer, 3) for layer in range(3)] == [1, 1, 1]
