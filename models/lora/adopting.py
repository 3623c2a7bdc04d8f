"""Find out whether somebody's peft model can be taken over, and take it over."""

from typing import cast

from peft import LoraConfig, PeftModel, PeftType
from peft.tuners.lora import LoraLayer
from torch import nn
from transformers.pytorch_utils import Conv1D

from rankscope.models.inventory import AdaptableModule, Inventory, place_of
from rankscope.models.lora.attach import LoraLayers
from rankscope.models.lora.elastic import ElasticLora


def adopt(model: nn.Module, *, seed: int) -> ElasticLora:
    """The active LoRA adapter of a peft model, from now on of moving rank.

    Ranks, values and the scale of every module stay as they are; a module keeps its scale at every
    rank. What else is trained (``modules_to_save``) is left alone.

    Args:
        model: A peft model whose active adapter is plain LoRA on linears, trainable.
        seed: Of the rows that growing modules get.

    Raises:
        ValueError: If it is not such a model.
    """
    if not isinstance(model, PeftModel):
        raise ValueError(  # noqa: TRY004 - one error for all that cannot be taken over
            f"the model must be a peft model with LoRA, got {type(model).__name__}; "
            "wrap it first: peft.get_peft_model(model, LoraConfig(...))"
        )
    adapter = _active_adapter(model)
    layers = {
        name: module
        for name, module in model.get_base_model().named_modules()
        if isinstance(module, LoraLayer) and adapter in _adapters_of(module)
    }
    if not layers:
        raise ValueError(
            f"adapter {adapter!r} must sit on a linear module, it has none; target some"
        )
    for name, layer in layers.items():
        _check(name, layer, adapter)
    inventory = Inventory(
        modules=tuple(_module(name, layer) for name, layer in layers.items()),
        total_params=sum(p.numel() for name, p in model.named_parameters() if ".lora_" not in name),
    )
    scales = {name: float(layer.scaling[adapter]) for name, layer in layers.items()}
    elastic = ElasticLora.adopt(LoraLayers.adopt(model, inventory, scales, adapter), seed=seed)
    _make_exact(cast("LoraConfig", model.peft_config[adapter]))
    elastic.layers.sync_config()
    return elastic


def release(elastic: ElasticLora) -> tuple[str, ...]:
    """End the moving of ranks: modules at rank 0 lose their empty adapter, the function stays.

    Peft's own saving then writes what it can load again, without warning of empty tensors.

    Returns:
        The modules that have no adapter any more.
    """
    empty = tuple(name for name, rank in elastic.ranks().items() if rank == 0)
    if len(empty) == len(elastic.ranks()):
        return ()  # peft has no adapter without any module
    for name in empty:
        elastic.layers.by_name[name].delete_adapter(elastic.layers.adapter)
    return empty


def _active_adapter(model: PeftModel) -> str:
    active = model.active_adapters
    if len(active) != 1:
        raise ValueError(
            f"exactly one adapter must be active, got {sorted(active)}; call set_adapter(NAME)"
        )
    config = model.peft_config[active[0]]
    if config.peft_type != PeftType.LORA:
        raise ValueError(
            f"the active adapter must be LoRA, got {config.peft_type}; use peft's LoraConfig"
        )
    return active[0]


def _adapters_of(layer: LoraLayer) -> set[str]:
    return {*layer.lora_A, *layer.lora_embedding_A}


def _check(name: str, layer: LoraLayer, adapter: str) -> None:
    """Refuse what a change of rank would break."""
    kind = type(layer.get_base_layer()).__name__
    if adapter not in layer.lora_A or not isinstance(layer.get_base_layer(), nn.Linear | Conv1D):
        raise ValueError(
            f"adapters of moving rank must sit on linears, {name} holds an {kind}; "
            "take it out of target_modules"
        )
    if adapter in layer.lora_variant:
        variant = type(layer.lora_variant[adapter]).__name__
        raise ValueError(f"adapters must be plain LoRA, {name} has {variant}; switch that off")
    a, b = layer.lora_A[adapter], layer.lora_B[adapter]
    if any(type(x) is not nn.Linear or x.state_dict().keys() != {"weight"} for x in (a, b)):
        raise ValueError(
            f"adapters must hold two plain matrices, those of {name} do not; "
            "leave lora_bias off and the tuner's special layers out"
        )
    if not (a.weight.requires_grad and b.weight.requires_grad):
        raise ValueError(
            f"adapters must be trainable, that of {name} is frozen; load it with is_trainable=True"
        )


def _module(name: str, layer: LoraLayer) -> AdaptableModule:
    part, number = place_of(name)
    return AdaptableModule(
        name=name,
        part=part,
        layer=number or 0,
        type=name.rsplit(".", 1)[-1],
        d_in=layer.in_features,
        d_out=layer.out_features,
    )


def _make_exact(config: LoraConfig) -> None:
    """Let the config say no more than full names of modules, their ranks and their scales."""
    config.use_rslora = False  # the scale of every module is written as its alpha
    config.layers_to_transform = None
    config.layers_pattern = None
    config.exclude_modules = None
