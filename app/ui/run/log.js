/** The tail of the run's log, with a search; it follows new lines while one looks at the end. */

import { h, replace } from '../ui.js';

const MAX_LINES = 500;

/** One card. */
export class Log {
  /** @param {string} runId */
  constructor(runId) {
    this.search = h('input', { class: 'input', type: 'search', placeholder: 'Search the log', 'aria-label': 'Search the log', oninput: () => this.redraw() });
    this.lines = h('div', { class: 'log-lines', role: 'log', tabindex: '0', 'aria-label': 'Log' });
    this.element = h('section', { class: 'card run-log', 'aria-label': 'Log of the run' },
      h('div', { class: 'toolbar' }, h('h2', null, 'Log'),
        h('div', { class: 'row' }, this.search, h('a', { class: 'link small', href: `/api/runs/${runId}/log`, target: '_blank' }, 'Whole log'))),
      this.lines);
    this.shown = null;
  }

  /** @param {import('./history.js').History} history */
  update(history) {
    if (history.log === this.log) return;
    this.log = history.log;
    this.redraw();
  }

  redraw() {
    const words = this.search.value.trim().toLowerCase();
    const found = (this.log ?? []).filter((line) => line.text.toLowerCase().includes(words)).slice(-MAX_LINES);
    const isAtEnd = this.lines.scrollHeight - this.lines.scrollTop - this.lines.clientHeight < 30;
    if (!found.length) {
      replace(this.lines, h('p', { class: 'muted' }, words ? `No line of the last ${this.log.length} has “${words}”.` : 'The run has said nothing yet.'));
      return;
    }
    replace(this.lines, found.map((line) => h('div', { class: `log-line is-${line.level}` },
      h('time', { title: new Date(1000 * line.at).toLocaleString() }, new Date(1000 * line.at).toLocaleTimeString([], { hour12: false })),
      line.level !== 'info' && h('span', { class: 'log-level' }, line.level),
      h('span', { class: 'log-text' }, line.text))));
    if (isAtEnd) this.lines.scrollTop = this.lines.scrollHeight;
  }
}
