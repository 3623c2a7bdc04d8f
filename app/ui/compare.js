/** The page Compare: is the difference real, what did it cost, and where did the ranks go. */

import { api, button, empty, h, icon, poll, problem, replace, skeleton } from './ui.js';
import { morph, onAct, picker } from './morph.js';
import { differenceTable, scoreTable } from './compare_table.js';
import { Pictures } from './compare_pictures.js';

const POLL_S = 2;
const FILES = [['csv', 'CSV'], ['md', 'Markdown'], ['latex', 'LaTeX']];
const SIGNS = { better: 'up', worse: 'down', unclear: 'info', unknown: 'queued' };

/**
 * Take the page over.
 * @param {HTMLElement} element
 */
export function start(element) {
  const page = new ComparePage(element);
  page.open();
}

class ComparePage {
  constructor(element) {
    this.element = element;
    this.unfolded = new Set();
    this.page = null;
    this.readAddress();
  }

  open() {
    if (this.runs.length === 0) {
      replace(this.element, h('div', { class: 'screen' }, h('h1', null, 'Compare'), empty(
        'Nothing is chosen yet',
        'Choose two runs or more; seeds of one configuration share a row and give it an interval.',
        button('Choose runs', { kind: 'primary', href: '/' }),
      )));
      return;
    }
    this.build();
    this.stop = poll(() => this.load(), POLL_S);
  }

  build() {
    const place = (name, height) => {
      this[name] = h('div', { class: `compare-${name}` }, height ? skeleton(height) : null);
      return this[name];
    };
    this.pictures = new Pictures();
    replace(this.element, h('div', { class: 'screen compare' },
      place('head', 30), place('failure'), place('verdict', 150), place('warnings'), place('scores', 190),
      this.pictures.element, place('settings')));
    onAct(this.element, (act, data) => this.act(act, data));
  }

  async load() {
    const query = this.query(true);
    const since = this.loaded === query ? `&since=${encodeURIComponent(this.page.revision)}` : '';
    let answer;
    try {
      answer = await api(`/api/compare?${query}${since}`);
    } catch (error) {
      this.showFailure(error);
      throw error;
    }
    if (query !== this.query(true)) return; // something else was asked meanwhile
    morph(this.failure);
    if (answer.is_unchanged) return;
    this.page = answer;
    this.loaded = query;
    this.show();
  }

  show() {
    morph(this.head, this.heading());
    morph(this.verdict, verdictCard(this.page.verdict, this.page.num_open > 0));
    morph(this.warnings, warningCard(this.page.warnings));
    morph(this.scores, h('section', { class: 'card', 'aria-label': 'Scores' }, scoreTable(this.page, this.unfolded)));
    morph(this.settings, differenceTable(this.page));
    this.pictures.show(this.page, this.curves, this.seed);
  }

  heading() {
    const { arms, num_runs: numRuns, num_open: numOpen } = this.page;
    const baseline = arms.find((arm) => arm.is_baseline);
    const what = `${arms.length} configuration${arms.length === 1 ? '' : 's'}, ${numRuns} run${numRuns === 1 ? '' : 's'}`;
    return [
      h('div', { class: 'row' },
        h('h1', null, 'Compare'),
        h('span', { class: 'muted num' }, what),
        numOpen > 0 && h('span', { class: 'chip chip-accent', role: 'status' }, icon('running', 'spin'), `${numRuns - numOpen} of ${numRuns} ended, live`)),
      h('div', { class: 'row' },
        h('label', { class: 'compare-pick' }, 'Baseline',
          picker('baseline', arms.map((arm) => [arm.runs[0].id, arm.configuration]), baseline.runs[0].id)),
        h('a', { class: 'button', href: `/?${runQuery(this.runs)}` }, 'Choose runs'),
        h('span', { class: 'button-group', role: 'group', 'aria-label': 'Download the table' },
          FILES.map(([style, label], index) => h('a', {
            class: 'button', href: `/api/compare/table?${this.query(false)}&style=${style}`, download: '',
            'aria-label': `Download ${label}`,
          }, index === 0 && icon('export'), label)))),
    ];
  }

  act(act, data) {
    if (act === 'fold') {
      if (!this.unfolded.delete(data.arm)) this.unfolded.add(data.arm);
    } else if (act === 'remove') {
      const gone = new Set(data.runs.split(' '));
      this.runs = this.runs.filter((id) => !gone.has(id));
      if (gone.has(this.baseline)) this.baseline = null;
    } else if (act === 'baseline') this.baseline = data.value;
    else if (act === 'curves') this.curves = data.value;
    else if (act === 'seed') this.seed = data.value;
    else return;
    this.writeAddress();
    if (this.runs.length === 0) this.open();
    else if (act === 'fold') this.show();
    else this.load().catch(() => null); // shown by load itself
  }

  showFailure(error) {
    const isGone = error.status === 404 || error.status === 422;
    const remedy = isGone ? h('a', { class: 'button', href: '/' }, 'Choose runs') : '';
    morph(this.failure, problem(isGone ? 'These runs cannot be compared' : 'The comparison is not up to date', error.message, remedy));
    if (this.page || !isGone) return;
    this.stop(); // asking again would not help
    morph(this.head, h('h1', null, 'Compare'));
    for (const place of [this.verdict, this.scores]) morph(place);
    this.pictures.element.hidden = true;
  }

  query(hasPictures) {
    const query = new URLSearchParams(this.runs.map((id) => ['run', id]));
    if (this.baseline) query.set('baseline', this.baseline);
    if (hasPictures && this.curves !== 'mean') query.set('curves', this.curves);
    if (hasPictures && this.seed) query.set('seed', this.seed);
    return query.toString();
  }

  readAddress() {
    const address = new URLSearchParams(window.location.search);
    this.runs = [...new Set(address.getAll('run'))];
    this.baseline = address.get('baseline');
    this.curves = address.get('curves') === 'runs' ? 'runs' : 'mean';
    this.seed = /^\d+$/.test(address.get('seed') ?? '') ? address.get('seed') : '';
  }

  writeAddress() {
    const query = this.runs.length ? `?${this.query(true)}` : '';
    window.history.replaceState(null, '', window.location.pathname + query);
  }
}

function runQuery(runs) {
  return new URLSearchParams(runs.map((id) => ['run', id])).toString();
}

function verdictCard(verdict, isLive) {
  return h('section', { class: 'card verdict', 'aria-labelledby': 'verdict-question' },
    h('h2', { id: 'verdict-question', class: 'muted' }, 'Is the difference real?'),
    h('p', { class: 'verdict-answer', 'aria-live': isLive ? 'polite' : null }, verdict.answer),
    h('ul', { class: 'verdict-findings' }, verdict.findings.map(({ finding, text }) =>
      h('li', { class: `is-${finding}` }, icon(SIGNS[finding]), h('span', { class: 'num' }, text)))),
    verdict.caveats.length > 0 && h('ul', { class: 'verdict-caveats muted' },
      verdict.caveats.map((text) => h('li', null, text))));
}

function warningCard(warnings) {
  if (warnings.length === 0) return null;
  return h('section', { class: 'notice', 'aria-label': 'Warnings' }, icon('warning'),
    h('div', null, h('strong', null, 'Not alike in everything'),
      h('ul', null, warnings.map((text) => h('li', null, text)))));
}
