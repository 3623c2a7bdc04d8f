/** How much of the budget is used, how much ever was, and which phase the ranks are in. */

import { format, h, replace } from '../ui.js';

/** A bar and a line of words below the map. */
export class Budget {
  constructor() {
    this.fill = h('span');
    this.bar = h('div', { class: 'bar', role: 'meter', 'aria-label': 'Budget used', 'aria-valuemin': '0' }, this.fill);
    this.head = h('div', { class: 'budget-head' });
    this.words = h('p', { class: 'muted small' });
    this.element = h('div', { class: 'budget' }, this.head, this.bar, this.words);
  }

  /** @param {import('./history.js').History} history */
  update(history) {
    const { run } = history;
    const text = [history.liveParams, run.budget_params, run.max_live_params, history.movedParams].join();
    if (text === this.shown) return;
    this.shown = text;
    const used = history.liveParams ?? 0;
    const share = run.budget_params ? used / run.budget_params : 0;
    const most = Math.max(run.max_live_params ?? 0, used);
    const isOver = run.budget_params !== null && most > run.budget_params;
    this.fill.style.width = `${Math.min(100, 100 * share)}%`;
    this.bar.classList.toggle('is-over', isOver);
    this.bar.setAttribute('aria-valuemax', String(run.budget_params ?? 1));
    this.bar.setAttribute('aria-valuenow', String(used));
    replace(this.head,
      h('span', null, h('strong', null, 'Budget '), h('span', { class: 'num' }, format.params(run.budget_params))),
      h('span', { class: 'num' }, history.liveParams === null ? 'not used yet' : `${format.count(used)} used (${format.percent(run.budget_params ? share : null, 0)})`));
    this.words.hidden = history.liveParams === null;
    replace(this.words, [
      `Most ever live: ${format.count(most || null)}${isOver ? `, ${format.percent(most / run.budget_params - 1, 0)} over the budget` : ''}`,
      `moved so far: ${format.count(history.movedParams)}`,
      run.other_trainable_params ? `trained beside the adapters: ${format.count(run.other_trainable_params)}` : '',
    ].filter(Boolean).join(' · '));
  }
}

/** The phase of the ranks, as far as the plan of the scheduler says it. */
export function phaseOf({ run }) {
  const steps = (run.decision_steps ?? []).filter((step) => step > 0);
  if (!['running', 'starting', 'paused'].includes(run.status)) return '';
  if (!steps.length) return run.scheduler === 'adalora' ? 'pruned by AdaLoRA' : 'fixed';
  if (run.step < steps[0]) return `warm-up to step ${format.count(steps[0])}`;
  const next = steps.find((step) => step > run.step);
  if (next !== undefined) return `decides at step ${format.count(next)}`;
  return `frozen since ${format.count(steps.at(-1))}`;
}
