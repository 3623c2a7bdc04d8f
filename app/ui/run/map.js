/** The picture of the page: rank of every adapter, at the newest moment or an earlier one. */

import { format, h, skeleton } from '../ui.js';
import { draw, setRanks, setTitle } from '../plots.js';
import { Budget } from './budget.js';
import { Timeline } from './timeline.js';

/** Map, timeline and budget in one card. */
export class RankMap {
  /** @param {(index: number, isLive: boolean) => void} onChoose */
  constructor(onChoose) {
    this.timeline = new Timeline((index, isLive) => {
      this.show();
      onChoose(index, isLive);
    });
    this.budget = new Budget();
    this.plot = h('div', { class: 'run-map' }, skeleton(284));
    this.element = h('section', { class: 'card run-map-card', 'aria-label': 'Ranks' }, this.plot, this.timeline.element, this.budget.element);
    this.isDrawn = false;
  }

  /**
   * Draw the figure that Python made, once the modules are known.
   * @param {object|null} figure
   */
  async start(figure) {
    if (!figure) return;
    await draw(this.plot, figure);
    this.isDrawn = true;
    this.shown = null;
    if (this.history) this.show();
  }

  /** @param {import('./history.js').History} history */
  update(history) {
    this.history = history;
    const { run } = history;
    const isOpen = ['queued', 'starting', 'running', 'paused'].includes(run.status);
    this.timeline.update(history.moments, run.step, run.num_steps, isOpen);
    this.budget.update(history);
    this.show();
  }

  /** Cells that differ from what was shown before light up, but not on opening the page. */
  show() {
    if (!this.isDrawn) return;
    const { history, timeline } = this;
    const ranks = history.ranksAt(timeline.index);
    const step = timeline.isLive ? history.run.step : history.moments[timeline.index]?.step;
    const title = ranks ? `Rank of every adapter, step ${format.count(step)}` : 'Rank of every adapter: not decided yet';
    setTitle(this.plot, title);
    if (!ranks || ranks === this.shown) return;
    const changed = this.shown
      ? ranks.flatMap((rank, module) => (rank === this.shown[module] ? [] : [module]))
      : [];
    this.shown = ranks;
    setRanks(this.plot, ranks, { title, changed, notes: lastChanges(history, timeline.index) });
  }
}

/** Per module, its last change up to a moment: "2 → 6 at step 45". */
function lastChanges(history, index) {
  const notes = Array(history.modules.length).fill(null);
  for (let at = 1; at <= index; at += 1) {
    const before = history.ranksAt(at - 1);
    const now = history.ranksAt(at);
    if (!before || now === before) continue;
    for (const module of history.moments[at].ranks.modules) {
      if (before[module] !== now[module]) {
        notes[module] = `${before[module]} → ${now[module]} at step ${history.moments[at].step}`;
      }
    }
  }
  return notes;
}
