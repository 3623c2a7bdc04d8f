"""From a run's configuration to everything its training needs."""

from dataclasses import dataclass
from pathlib import Path

from rankscope.models.config import RunConfig
from rankscope.models.data.files.hashing import Progress
from rankscope.models.data.loading import load_data
from rankscope.models.data.parts import DataPart, Splits
from rankscope.models.data.record import DataRecord
from rankscope.models.full_parts import keep_precise, train_parts
from rankscope.models.full_tuning import FullTuning
from rankscope.models.inventory import Inventory
from rankscope.models.lora.adalora import AdaLoraTuning
from rankscope.models.lora.dora import DoraTuning
from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.eva import EvaTuning
from rankscope.models.lora.inventory import find_modules
from rankscope.models.lora.lora_ga import LoraGaTuning
from rankscope.models.lora.scaling import Scaling
from rankscope.models.lora.tuning import ElasticTuning
from rankscope.models.rank_bounds import check_budget, initial_states
from rankscope.models.roots import Roots
from rankscope.models.schedulers.adalora import AdaLora
from rankscope.models.schedulers.allocation import uniform_ranks
from rankscope.models.schedulers.contract import RankPlanner
from rankscope.models.schedulers.dora import Dora
from rankscope.models.schedulers.eva import Eva
from rankscope.models.schedulers.full import Full
from rankscope.models.schedulers.lora_ga import LoraGa
from rankscope.models.tuning import Tuning
from rankscope.models.vlms.loading import LoadedVlm, load_vlm
from rankscope.tasks.batches import Collator
from rankscope.tasks.callback import RunCallback
from rankscope.tasks.compiling import compile_layers
from rankscope.tasks.devices import device_for
from rankscope.tasks.loop import RankTrainer
from rankscope.tasks.measuring import Measurer
from rankscope.tasks.offline import OfflineFor
from rankscope.tasks.process_group import ALONE, ProcessGroup
from rankscope.tasks.rates import Rates
from rankscope.tasks.steering import Emit, Steering


@dataclass(frozen=True)
class Assembled:
    """A run, ready to train."""

    vlm: LoadedVlm
    splits: Splits[DataPart]
    inventory: Inventory
    tuning: Tuning
    steering: Steering | None
    budget_params: int
    other_trainable_params: int
    data_record: DataRecord | None = None
    group: ProcessGroup = ALONE


def assemble(
    config: RunConfig,
    roots: Roots,
    emit: Emit,
    offline_for: OfflineFor = lambda _: None,
    on_rows: Progress = lambda _: None,
    group: ProcessGroup = ALONE,
) -> Assembled:
    """Load model and data, put adapters on, and connect the planner.

    Args:
        config: What to train.
        roots: Where models and data may lie.
        emit: Where events go.
        offline_for: The offline performance model for the run's modules.
        on_rows: Is told how many rows of own data were read.
        group: The processes that train it together.

    Raises:
        ValueError: The device is not there, the targets match nothing, pins or budget leave no
            room, or the planner's settings cannot work with model and data.
    """
    vlm = load_vlm(config.model, device_for(config.training), roots)
    inventory = find_modules(vlm.model, config.lora.targets, config.lora.parts)
    budget = config.budget.params(inventory)
    data = load_data(config.data, vlm.picture_size_px, roots, on_rows)
    splits = data.splits
    tuning = _tuning(config, vlm, inventory, budget)
    other = train_parts(vlm.model, config.training.full_parts)
    keep_precise(vlm.model)
    steering = None
    if isinstance(tuning, ElasticTuning) and isinstance(config.scheduler, RankPlanner):
        _check_probe(config.scheduler, len(splits.probe))
        steering = Steering(
            config.scheduler,
            tuning.elastic,
            Measurer(tuning.elastic, vlm, splits.probe),
            config.lora,
            budget=budget,
            num_steps=config.training.steps,
            seed=config.seed,
            emit=emit,
            offline=offline_for(inventory),
            group=group,
        )
    return Assembled(vlm, splits, inventory, tuning, steering, budget, other, data.record, group)


def adapted(config: RunConfig, roots: Roots) -> tuple[LoadedVlm, Tuning]:
    """A run's model with its adapters on and nothing to train: a checkpoint may be loaded into it.

    Raises:
        ValueError: The model cannot be read, the targets match nothing, or the budget has no room.
    """
    vlm = load_vlm(config.model, device_for(config.training), roots)
    inventory = find_modules(vlm.model, config.lora.targets, config.lora.parts)
    tuning = _tuning(config, vlm, inventory, config.budget.params(inventory))
    train_parts(vlm.model, config.training.full_parts)
    keep_precise(vlm.model)
    return vlm, tuning


def make_trainer(
    config: RunConfig,
    assembled: Assembled,
    folder: Path,
    callback: RunCallback,
) -> RankTrainer:
    """The training loop of an assembled run; checkpoints go to ``folder``."""
    num_layers = 1 + max(
        (module.layer for module in assembled.inventory.modules if module.part == "language"),
        default=0,
    )
    if config.training.compile_layers:
        compile_layers(assembled.vlm.model, assembled.inventory)
    rates = Rates(config.optimizer, assembled.tuning.modules_of_parameters(), num_layers)
    trainer = RankTrainer(
        config,
        assembled.tuning,
        assembled.steering,
        rates,
        Collator(assembled.splits.train, assembled.vlm.processor),
        folder=folder,
        callback=callback,
        group=assembled.group,
    )
    callback.watch(trainer)
    return trainer


def _tuning(config: RunConfig, vlm: LoadedVlm, inventory: Inventory, budget: int) -> Tuning:
    match config.scheduler:
        case Full():
            return FullTuning(vlm.model, inventory)
        case AdaLora() as settings:
            return AdaLoraTuning(
                vlm.model,
                inventory,
                settings,
                budget=budget,
                steps=config.training.steps,
                scale=config.lora.scale,
            )
        case _:
            return _lora_tuning(config, vlm, inventory, budget)


def _lora_tuning(config: RunConfig, vlm: LoadedVlm, inventory: Inventory, budget: int) -> Tuning:
    """Of what starts from plain LoRA's A and B."""
    states = initial_states(inventory, config.lora)
    check_budget(states, budget)
    rs_rank = budget / inventory.params_per_rank if config.lora.scaling == "rslora" else None
    scale, seed = config.lora.scale, config.seed
    scheduler = config.scheduler
    if isinstance(scheduler, Dora):
        ranks, scaling = scheduler.ranks(states, budget), Scaling(scale, rs_rank)
        return DoraTuning(vlm.model, inventory, ranks, scaling=scaling, seed=seed)
    ranks = (
        scheduler.ranks(states, budget)
        if isinstance(scheduler, LoraGa)
        else uniform_ranks(states, budget)
    )
    elastic = ElasticLora(
        vlm.model,
        inventory,
        ranks,
        scale=scale,
        seed=seed,
        rs_rank=rs_rank,
        keeps_moments=config.lora.moments == "transport",
    )
    match scheduler:
        case Eva():
            return EvaTuning(elastic, scheduler, states, budget=budget)
        case LoraGa():
            return LoraGaTuning(elastic, scheduler, seed=seed)
        case _:
            return ElasticTuning(elastic)


def _check_probe(planner: RankPlanner, num_items: int) -> None:
    if planner.most_probe_items > num_items:
        raise ValueError(
            f"a scheduler may measure on at most the {num_items} probe items, {planner.kind} asks "
            f"for {planner.most_probe_items}; lower its number of probe items"
        )
