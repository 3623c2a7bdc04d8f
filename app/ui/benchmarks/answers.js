/** What a model answered to each item, a page at a time. */

import { api, button, format, h, problem, replace } from '../ui.js';

const PAGE_ITEMS = 50;

/** A card that opens below the figures. */
export class Answers {
  constructor() {
    this.element = h('div', { class: 'benchmarks-slot' });
  }

  /**
   * @param {string} id Of the evaluation.
   * @param {'all'|'wrong'} only
   * @param {number} [offset]
   */
  async open(id, only, offset = 0) {
    try {
      const found = await api(`/api/evaluations/${encodeURIComponent(id)}/answers?only=${only}&offset=${offset}`);
      replace(this.element, this.card(id, only, offset, found));
    } catch (error) {
      replace(this.element, problem('The answers could not be read', error.message));
    }
  }

  close() {
    replace(this.element);
  }

  card(id, only, offset, { answers, total }) {
    const last = Math.min(total, offset + PAGE_ITEMS);
    return h('section', { class: 'card', 'aria-label': 'Answers' },
      h('div', { class: 'toolbar' },
        h('h2', null, only === 'wrong' ? 'Wrong answers' : 'Answers', ' ', h('span', { class: 'muted num' }, total ? `${format.count(offset + 1)} to ${format.count(last)} of ${format.count(total)}` : 'none')),
        h('div', { class: 'row' },
          offset > 0 && button('Previous', { icon: 'previous', kind: 'quiet', onClick: () => this.open(id, only, offset - PAGE_ITEMS) }),
          last < total && button('Next', { icon: 'next', kind: 'quiet', onClick: () => this.open(id, only, offset + PAGE_ITEMS) }),
          button('Close', { icon: 'close', kind: 'quiet', isIconOnly: true, onClick: () => this.close() }))),
      h('div', { class: 'table-scroll' }, h('table', { class: 'table table-dense' },
        h('thead', null, h('tr', null, ['Item', 'Answer', 'Score'].map((name) => h('th', { scope: 'col', class: name === 'Score' ? 'num' : null }, name)))),
        h('tbody', null, answers.map((answer) => h('tr', null,
          h('td', null, h('code', null, answer.key)),
          h('td', { class: 'benchmarks-answer' }, answer.answer || h('span', { class: 'muted' }, 'empty')),
          h('td', { class: 'num' }, said(answer.score))))))));
  }
}

function said(score) {
  if (score === null) return h('span', { class: 'muted' }, 'not scored yet');
  if (score === 1) return 'right';
  return score === 0 ? 'wrong' : score.toFixed(1);
}
