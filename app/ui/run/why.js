/** Why ranks moved or stayed: the chosen moment in full, and the list of all moments. */

import { format, h, icon, replace } from '../ui.js';

const MAX_MOVES = 12;
const MAX_LISTED = 300;

/** The card beside the map. */
export class Why {
  /** @param {(index: number) => void} onChoose */
  constructor(onChoose) {
    this.onChoose = onChoose;
    this.detail = h('div', { class: 'why-detail', 'aria-live': 'polite' });
    this.count = h('h2', null, 'Events');
    this.list = h('ol', { class: 'why-list' });
    this.element = h('section', { class: 'card why', 'aria-label': 'Why the ranks are so' },
      h('div', { class: 'why-inner' }, h('h2', null, 'Why'), this.detail, this.count, this.list));
    this.shown = '';
    this.isOpen = false;
  }

  /**
   * @param {import('./history.js').History} history
   * @param {number} chosen Index of the chosen moment.
   */
  update(history, chosen) {
    const { moments } = history;
    const last = moments.at(-1);
    const text = [moments.length, last?.id, chosen, last?.decided?.realised, this.isOpen].join();
    if (text === this.shown) return;
    this.shown = text;
    this.showDetail(history, moments[chosen], chosen);
    replace(this.count, moments.length ? `Events (${format.count(moments.length)})` : 'Events');
    const first = Math.max(0, moments.length - MAX_LISTED);
    replace(this.list, moments.slice(first).map((moment, at) => this.item(history, moment, first + at, chosen)).reverse());
    // the newest stands on top, and finding out where an item is costs a layout
    if (chosen < moments.length - 1) this.list.querySelector('[aria-current]')?.scrollIntoView?.({ block: 'nearest', container: 'nearest' });
  }

  showDetail(history, moment, index) {
    if (!moment) {
      replace(this.detail, h('p', { class: 'muted' }, waiting(history.run)));
      return;
    }
    const { decided } = moment;
    const moves = decided?.moves?.length ? decided.moves : movesOf(history, index);
    replace(this.detail,
      h('p', { class: 'why-verdict' }, h('span', { class: 'num' }, `Step ${format.count(moment.step)}`), verdict(history, moment, index)),
      decided && h('p', { class: 'why-reason' }, sentence(decided.reason)),
      decided && outcome(decided),
      moves.length > 0 && this.movesTable(moves));
  }

  movesTable(moves) {
    const shown = this.isOpen ? moves : moves.slice(0, MAX_MOVES);
    const hasGain = moves.some((move) => move.gain !== null);
    const rest = moves.length - shown.length;
    return h('div', null,
      h('table', { class: 'table table-dense why-moves' },
        h('caption', { class: 'visually-hidden' }, 'Modules whose rank changed'),
        h('thead', null, h('tr', null, h('th', { scope: 'col' }, 'Module'), h('th', { scope: 'col', class: 'num' }, 'Rank'),
          hasGain && h('th', { scope: 'col', class: 'num', title: 'Predicted fall of the probe loss, nats, ± one standard deviation' }, 'Gain'))),
        h('tbody', null, shown.map((move) => h('tr', { title: move.reason },
          h('td', null, move.name),
          h('td', { class: 'num' }, `${move.from} → ${move.to}`),
          hasGain && h('td', { class: 'num' }, gain(move)))))),
      (rest > 0 || this.isOpen) && moves.length > MAX_MOVES && h('button', {
        class: 'button button-quiet small', type: 'button',
        onclick: () => {
          this.isOpen = !this.isOpen;
          this.shown = '';
          this.onChoose(-1);
        },
      }, rest > 0 ? `Show ${rest} more` : 'Show fewer'));
  }

  item(history, moment, index, chosen) {
    const hasMoved = moment.ranks && index > 0;
    return h('li', null, h('button', {
      type: 'button', class: 'why-item', 'aria-current': index === chosen ? 'true' : null,
      onclick: () => this.onChoose(index),
    },
    h('span', { class: 'num muted' }, format.count(moment.step)),
    icon(iconOf(moment, hasMoved)),
    h('span', { class: 'why-short' }, short(history, moment, index))));
  }
}

function iconOf(moment, hasMoved) {
  if (moment.decided?.kind === 'failed') return 'failed';
  if (!moment.ranks) return 'paused';
  return hasMoved ? 'sort' : 'starting';
}

function waiting(run) {
  if (run.status === 'queued') return 'The first ranks are set when the run starts.';
  const next = (run.decision_steps ?? []).find((step) => step >= run.step);
  return next ? `The first decision comes at step ${format.count(next)}.` : 'Nothing is decided yet.';
}

function verdict(history, moment, index) {
  if (moment.decided?.kind === 'failed') return ' scheduler failed, ranks stay to the end';
  if (moment.ranks && !history.changedAt(index).length && index === 0) return ' first ranks';
  if (moment.ranks && moment.ranks.moved > 0) return ` moved ${format.params(moment.ranks.moved)}${share(history, moment)}`;
  return moment.ranks ? ' ranks set, none moved' : ' kept';
}

function short(history, moment, index) {
  if (moment.decided?.kind === 'failed') return 'scheduler failed, ranks stay';
  if (index === 0 && moment.ranks) return `first ranks, ${format.params(moment.ranks.live)}`;
  if (moment.ranks?.moved > 0) {
    const number = history.changedAt(index).length;
    return `moved ${share(history, moment).replace(/[() ]/g, '') || format.count(moment.ranks.moved)}, ${number} module${number === 1 ? '' : 's'}`;
  }
  return moment.decided ? `kept: ${moment.decided.reason.split(/[;,]/)[0]}` : 'no change';
}

function share(history, moment) {
  const budget = history.run.budget_params;
  return budget ? ` (${format.percent(moment.ranks.moved / budget, 0)})` : '';
}

/** Numbers of the whole decision: predicted, needed, and what it brought. */
function outcome(decided) {
  const facts = [];
  if (decided.gain !== null && decided.gain !== undefined) facts.push(['Predicted gain', gain(decided)]);
  if (decided.threshold !== null && decided.threshold !== undefined) facts.push(['Needed', `more than ${format.number(decided.threshold)}`]);
  if (decided.realised !== null && decided.realised !== undefined) facts.push(['Realised', format.signed(decided.realised)]);
  if (!facts.length) return null;
  return h('dl', { class: 'facts small', title: 'Fall of the probe loss, nats' },
    facts.map(([name, value]) => [h('dt', null, name), h('dd', null, value)]));
}

/** What changed, where no planner gave reasons. */
function movesOf(history, index) {
  const before = history.ranksAt(index - 1);
  const now = history.ranksAt(index);
  return history.changedAt(index).map((module) => ({
    name: nameOf(history.modules[module]), from: before[module], to: now[module], gain: null, reason: '',
  }));
}

function nameOf(module) {
  const part = module.part === 'language' ? '' : `${module.part} `;
  return `${part}L${module.layer} ${module.type.replace(/_proj$/, '')}`;
}

function gain(move) {
  if (move.gain === null || move.gain === undefined) return '–';
  const deviation = move.gain_sd === null || move.gain_sd === undefined ? '' : ` ± ${format.number(move.gain_sd, 2)}`;
  return `${format.signed(move.gain, 2)}${deviation}`;
}

function sentence(text) {
  return text ? (text[0].toUpperCase() + text.slice(1)).replaceAll('->', '→') : '';
}
