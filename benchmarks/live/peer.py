"""The peer: the same stream shown by gr.Plot, asked for by gr.Timer each second.

``python -m benchmarks.live.peer RUN PORT``; Redis comes from the environment.
"""

import asyncio
import json
import sys
import threading
from typing import Any

import gradio as gr
import plotly.graph_objects as go

from benchmarks.live.speaker import START_RANK, TYPES
from rankscope.storage.live import RELOAD
from rankscope.storage.settings import Settings
from rankscope.storage.stream import Tail


class Newest:
    """What the run last said, read from its stream in a thread."""

    def __init__(self, settings: Settings, run_id: str) -> None:
        self.step = 0
        self.ranks = [START_RANK] * 210
        self._settings = settings
        self._run_id = run_id
        threading.Thread(target=lambda: asyncio.run(self._read()), daemon=True).start()

    def figure(self) -> go.Figure:
        """The map of 30 layers by 7 modules."""
        rows = [self.ranks[i : i + 7] for i in range(0, 210, 7)]
        figure = go.Figure(go.Heatmap(z=rows, x=list(TYPES), zmin=0, zmax=16, colorscale="cividis"))
        return figure.update_layout(title=f"Rank of every adapter, step {self.step}")

    async def _read(self) -> None:
        tail, cursor = Tail(self._settings.live_url), 0
        while True:
            for entry in await tail.read(self._run_id, cursor, block_ms=1000):
                cursor = entry.id
                form: dict[str, Any] = {"k": ""}
                if entry.text not in ("", RELOAD):
                    form = json.loads(entry.text)
                if form["k"] == "step":
                    self.step = form["step"]
                elif form["k"] == "ranks":
                    for module, rank in zip(form["modules"], form["ranks"], strict=True):
                        self.ranks[module] = rank


def main() -> None:
    """Serve until terminated."""
    newest = Newest(Settings(), sys.argv[1])
    with gr.Blocks(analytics_enabled=False) as blocks:
        plot = gr.Plot(newest.figure)
        gr.Timer(1.0).tick(newest.figure, outputs=plot, show_progress="hidden")
    blocks.launch(server_name="127.0.0.1", server_port=int(sys.argv[2]), quiet=True)


if __name__ == "__main__":
    main()
