/** The page Benchmarks: evaluations and how far they are, the figures of one, and a form. */

import { api, empty, format, h, icon, poll, problem, replace, session, skeleton, statusChip } from './ui.js';
import { morph, onAct } from './morph.js';
import { EvaluationForm } from './benchmarks/form.js';
import { Answers } from './benchmarks/answers.js';
import { differenceCard, figuresCard, headline, suiteTitle } from './benchmarks/figures.js';

const POLL_S = 1.5;
const OPEN = new Set(['queued', 'starting', 'running']);

/**
 * Take the page over.
 * @param {HTMLElement} element
 */
export function start(element) {
  new BenchmarksPage(element).open();
}

class BenchmarksPage {
  constructor(element) {
    this.element = element;
    this.canOperate = false;
    const address = new URLSearchParams(window.location.search);
    this.chosen = address.get('id');
    this.run = address.get('run');
    this.compared = address.getAll('with').slice(0, 2);
  }

  async open() {
    this.head = h('div', { class: 'row' }, h('h1', null, 'Benchmarks'));
    this.failure = h('div', { class: 'benchmarks-failure' });
    this.list = h('div', null, skeleton(200));
    this.difference = h('div', { class: 'benchmarks-slot' });
    this.figures = h('div', { class: 'benchmarks-slot' });
    this.answers = new Answers();
    this.side = h('div', null, skeleton(380));
    this.said = h('p', { class: 'visually-hidden', role: 'status', 'aria-live': 'polite' });
    replace(this.element, h('div', { class: 'screen benchmarks-page' }, this.head, this.failure,
      h('div', { class: 'benchmarks-columns' },
        h('div', { class: 'benchmarks-main' }, this.list, this.difference, this.figures, this.answers.element), this.side), this.said));
    onAct(this.element, (act, data) => this.act(act, data));
    this.canOperate = (await session().catch(() => null))?.can_operate ?? false;
    this.form = new EvaluationForm({ run: this.run, canOperate: this.canOperate, onStarted: (id) => this.show(id) });
    replace(this.side, this.form.element);
    this.form.load();
    poll(() => this.load(), POLL_S);
  }

  async load() {
    try {
      const query = this.run ? `?run=${encodeURIComponent(this.run)}` : '';
      this.rows = (await api(`/api/evaluations${query}`)).evaluations;
    } catch (error) {
      morph(this.failure, problem('Evaluations are not up to date', error.message));
      this.isFailing = true;
      throw error;
    }
    if (this.isFailing) morph(this.failure);
    this.isFailing = false;
    this.draw();
  }

  draw() {
    const numOpen = this.rows.filter((row) => OPEN.has(row.status)).length;
    morph(this.head, h('div', { class: 'row' }, h('h1', null, 'Benchmarks'),
      h('span', { class: 'muted num' }, `${this.rows.length} evaluation${this.rows.length === 1 ? '' : 's'}, ${numOpen} not ended`),
      this.run && h('a', { class: 'chip', href: '/benchmarks', title: 'Show those of all runs' }, icon('close'), `of run ${this.run}`)));
    morph(this.list, this.listCard());
    const row = this.rows.find((one) => one.id === this.chosen) ?? this.rows[0];
    morph(this.figures, row && figuresCard(row, this.canOperate));
    this.compare();
  }

  listCard() {
    return h('section', { class: 'card', 'aria-labelledby': 'evaluations-title' },
      h('h2', { id: 'evaluations-title' }, 'Evaluations'),
      this.rows.length === 0
        ? empty('Nothing was evaluated yet', 'Choose a run, an adapter or a base model, name the folder with the benchmark’s official files, and start.')
        : h('div', { class: 'table-scroll' }, h('table', { class: 'table benchmarks-table', 'aria-label': 'Evaluations' },
          h('thead', null, h('tr', null, ['', 'Benchmark', 'Of', 'Status', 'Score (95 %)', 'Items', 'Age'].map((title, at) =>
            h('th', { class: at > 3 ? 'num' : null, scope: 'col' }, title || h('span', { class: 'visually-hidden' }, 'Compare'))))),
          h('tbody', null, this.rows.map((row) => this.line(row))))));
  }

  line(row) {
    const isShown = row.id === (this.chosen ?? this.rows[0].id);
    const name = `${suiteTitle(row.benchmark)} of ${row.title}`;
    const isPicked = this.compared.includes(row.id);
    return h('tr', { 'data-key': row.id, class: isShown ? 'is-shown' : null },
      h('td', null, h('button', {
        type: 'button', class: `button button-quiet button-icon benchmarks-pick${isPicked ? ' is-picked' : ''}`, 'data-act': 'pick', 'data-id': row.id,
        'aria-pressed': isPicked ? 'true' : 'false', 'aria-label': `Compare ${name}`, title: 'Compare two of the same items',
        'aria-disabled': row.score ? null : 'true',
      }, icon(isPicked ? 'check' : 'plus'))),
      h('td', null, h('button', { type: 'button', class: 'benchmarks-link', 'data-act': 'show', 'data-id': row.id, 'aria-current': isShown ? 'true' : null }, suiteTitle(row.benchmark))),
      h('td', { class: 'benchmarks-of', title: row.title }, row.run_id ? h('a', { href: `/run?run=${encodeURIComponent(row.run_id)}` }, row.title) : row.title),
      h('td', null, h('div', { class: 'benchmarks-state' }, statusChip(row.status, row.status_reason), progress(row))),
      h('td', { class: 'num', title: '95 % interval over items' }, headline(row)),
      h('td', { class: 'num' }, row.num_answered === row.num_items ? format.count(row.num_items) : `${format.count(row.num_answered)} / ${format.count(row.num_items)}`),
      h('td', { class: 'num' }, h('time', { title: new Date(1000 * row.created_at).toLocaleString() }, format.ago(row.created_at).replace(' ago', ''))));
  }

  async compare() {
    const key = this.compared.join();
    if (this.compared.length < 2) {
      this.comparedKey = key;
      return morph(this.difference, this.compared.length === 1 && h('p', { class: 'muted' }, 'Choose a second evaluation of the same items to compare.'));
    }
    if (this.comparedKey === key) return null;
    this.comparedKey = key;
    const [ours, theirs] = this.compared.map((id) => this.rows.find((row) => row.id === id));
    try {
      const found = await api(`/api/evaluations/${this.compared[0]}/difference?to=${this.compared[1]}`);
      morph(this.difference, differenceCard(ours, theirs, found));
    } catch (error) {
      morph(this.difference, problem('These two are not compared', error.message));
    }
    return null;
  }

  async act(act, { id }) {
    if (act === 'show') return this.show(id);
    if (act === 'pick') return this.pick(id);
    if (act === 'answers') return this.answers.open(id, 'all');
    if (act === 'wrong') return this.answers.open(id, 'wrong');
    if (act !== 'stop' && act !== 'resume') return null;
    try {
      await api(`/api/evaluations/${encodeURIComponent(id)}/${act}`, { method: 'POST', body: {} });
      this.said.textContent = act === 'stop' ? 'Stopping; what was answered stays' : 'It goes on';
    } catch (error) {
      morph(this.failure, problem(`Could not ${act} the evaluation`, error.message));
    }
    return this.load().catch(() => null);
  }

  show(id) {
    if (this.chosen !== id) this.answers.close();
    this.chosen = id;
    this.keepAddress();
    return this.load().catch(() => null);
  }

  pick(id) {
    this.compared = this.compared.includes(id) ? this.compared.filter((one) => one !== id) : [...this.compared, id].slice(-2);
    this.keepAddress();
    this.draw();
  }

  keepAddress() {
    const address = new URLSearchParams();
    if (this.run) address.set('run', this.run);
    if (this.chosen) address.set('id', this.chosen);
    this.compared.forEach((id) => address.append('with', id));
    const query = address.toString();
    window.history.replaceState(null, '', window.location.pathname + (query && `?${query}`));
  }
}

function progress(row) {
  if (row.status !== 'running') return null;
  const share = row.num_items ? row.num_answered / row.num_items : 0;
  return [
    h('span', { class: 'bar', role: 'progressbar', 'aria-label': 'Answered', 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-valuenow': Math.round(100 * share) },
      h('span', { style: { width: `${(100 * share).toFixed(1)}%` } })),
    h('span', { class: 'num muted small' }, row.eta_s === null ? '' : `ETA ${format.clock(row.eta_s)}`),
  ];
}
