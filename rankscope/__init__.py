"""Rankscope: rank-scheduled LoRA fine-tuning of vision-language models, watched live.

The public facade: :func:`attach` a rank planner to a Trainer of your own, and a :func:`client` for
a running server. Importing this imports nothing else; ``attach`` needs ``rankscope[train]``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch.utils.data import Dataset
    from transformers import Trainer

    from rankscope.models.schedulers.contract import RankPlanner
    from rankscope.tasks.attached import Attached
    from rankscope.tasks.remote_runs import Client

__all__ = ["attach", "client"]


def attach(
    trainer: "Trainer",
    scheduler: "str | Mapping[str, Any] | RankPlanner" = "hydra",
    *,
    budget: int | Mapping[str, Any] | None = None,
    probe: "Dataset[Any] | None" = None,
    min_rank: int = 0,
    max_rank: int | None = None,
    pins: Mapping[str, int] | None = None,
    url: str | None = None,
    token: str | None = None,
    name: str = "",
    tags: Sequence[str] = (),
    data: str = "",
    events_file: str | Path | None = None,
    flush_s: float = 60.0,
) -> "Attached":
    """Let a rank planner move the LoRA ranks of your own Trainer's model while it trains.

    The model is any peft model whose active adapter is plain LoRA on linears; ranks, values and
    scales are taken over as they are. Ranks move between optimizer steps, the state of your
    optimizer with them, and never hold more parameters than the budget. After ``trainer.train()``
    save as you always do: ``model.save_pretrained(folder)`` writes what stock peft loads.

    A planner that fails, and a server that is away, never end your training: the ranks stay as
    they are, and events wait.

    Args:
        trainer: Yours, before ``train()``; one process, one device.
        scheduler: Kind of a planner (``"hydra"``), its settings (``{"kind": "hydra", ...}``), or
            a planner itself, which may be your own ``RankPlanner``.
        budget: Adapter parameters never to be exceeded, or ``{"unit": "rank", "value": 8}``; by
            default as many as there are now.
        probe: Held-out items for planners that measure; any data set that your trainer could
            evaluate on. Never your test set.
        min_rank: Smallest rank of any module.
        max_rank: Largest; by default twice the largest there is.
        pins: Ranks that stay, by regular expression found in a module's path.
        url: A running Rankscope, which then shows the run live; without it nothing leaves the
            process.
        token: Where the server has accounts, from ``rankscope user token NAME``.
        name: Of the run, for people.
        tags: Words to find it by.
        data: What it is trained on, in your words.
        events_file: Where all events are appended too, one JSON object a line.
        flush_s: How long the end of training may wait for a server that is away.

    Returns:
        A handle: ``run_id``, ``page`` (the address of the run's page), ``events``, ``ranks()``.

    Raises:
        ConfigError: It cannot work, and why, before anything is trained.
        RemoteError: The server refuses.
    """
    from rankscope.tasks.attaching import attach as attach_to

    return attach_to(
        trainer,
        scheduler,
        budget=budget,
        probe=probe,
        min_rank=min_rank,
        max_rank=max_rank,
        pins=pins or {},
        url=url,
        token=token,
        name=name,
        tags=tags,
        data=data,
        events_file=events_file,
        flush_s=flush_s,
    )


def client(url: str, token: str | None = None) -> "Client":
    """A running Rankscope as pandas frames: read its runs, submit more.

    Args:
        url: As a browser opens it.
        token: Where the server has accounts, from ``rankscope user token NAME``.

    Raises:
        ConfigError: If the address makes no sense.
    """
    from rankscope.tasks.remote_runs import Client

    return Client(url, token)
