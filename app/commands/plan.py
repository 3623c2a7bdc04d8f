"""``rankscope plan``: what a run would do, without training."""

from rankscope.app.options import AsJson, ConfigPath, Overrides
from rankscope.app.store import open_store
from rankscope.app.terminal import count, out, print_json, print_table
from rankscope.models.reading import load_config
from rankscope.storage.settings import Settings
from rankscope.tasks import client


def plan(config: ConfigPath, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Show modules, budget in parameters, first ranks and memory; trains nothing."""
    planned = client.plan(load_config(config, overrides), open_store(Settings()))
    if as_json:
        print_json(planned.model_dump(mode="json"))
        return
    types = list(dict.fromkeys(module.type for module in planned.modules))
    rows: dict[tuple[str, int], dict[str, str]] = {}
    for module in planned.modules:
        rows.setdefault((module.part, module.layer), {})[module.type] = str(module.rank)
    print_table(
        f"First ranks, scheduler {planned.scheduler}",
        ["part", "layer", *types],
        [
            [part, str(layer), *(ranks.get(kind, "") for kind in types)]
            for (part, layer), ranks in rows.items()
        ],
    )
    memory = planned.memory
    held = (
        memory.base_weights_bytes
        + memory.adapters_bytes
        + memory.gradients_bytes
        + memory.optimizer_bytes
    )
    out.print(
        f"\nadapters {count(planned.params)} of {count(planned.budget_params)} parameters "
        f"(= rank {planned.equivalent_rank:g} everywhere); "
        f"base model {count(planned.total_params)}"
        + (f", {planned.model_note}" if planned.model_note else "")
        + "\n"
        f"memory {held / 1e6:,.1f} MB besides activations\n"
        f"decisions at steps {', '.join(map(str, planned.ranks_decided_at_steps)) or '–'}"
        + (f"; {planned.note}" if planned.note else "")
    )
