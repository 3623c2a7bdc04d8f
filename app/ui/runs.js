/** The page Runs: find runs, see how far they are, choose some to compare. */

import { api, button, empty, format, h, icon, poll, problem, replace, session } from './ui.js';
import { KEYS, OPEN, parseFilter } from './filter.js';
import { RunTable, SORTS } from './runs_table.js';

const POLL_S = 2;
const MAX_RUNS = 2000;
const STATUSES = [['All', ''], ['Live', 'open'], ['Done', 'done'], ['Failed', 'failed,lost']];

/**
 * Take the page over.
 * @param {HTMLElement} element
 */
export function start(element) {
  const page = new RunsPage(element);
  page.open();
}

class RunsPage {
  constructor(element) {
    this.element = element;
    this.runs = null;
    this.total = 0;
    this.chosen = new Set();
    this.readAddress();
  }

  async open() {
    this.who = await session().catch(() => null);
    poll(() => this.load(), POLL_S);
  }

  async load() {
    try {
      const answer = await api(`/api/runs?limit=${MAX_RUNS}`);
      this.runs = answer.runs;
      this.total = answer.total;
    } catch (error) {
      this.showFailure(error);
      throw error;
    }
    if (!this.table) this.build();
    this.failure.hidden = true;
    this.show();
  }

  build() {
    this.table = new RunTable({
      sort: this.sort,
      canOperate: this.who?.can_operate ?? false,
      onSort: (sort) => this.change(() => { this.sort = sort; }),
      onChoose: (ids, isChosen) => this.choose(ids, isChosen),
      onAct: (run, verb) => this.act(run, verb),
    });
    this.failure = h('div', { hidden: true });
    this.search = h('input', {
      class: 'input', type: 'search', id: 'runs-search', value: this.text, spellcheck: 'false',
      autocomplete: 'off', 'aria-label': 'Search runs', 'aria-describedby': 'runs-problems',
      'aria-keyshortcuts': '/', placeholder: 'scheduler=hydra budget<200k status=running words',
      oninput: () => this.change(() => { this.text = this.search.value; }),
    });
    this.statuses = h('div', { class: 'button-group', role: 'group', 'aria-label': 'Status' });
    this.compare = button('Compare', { href: '/compare' });
    this.newRun = button('New run', { icon: 'plus', kind: 'primary', href: '/new' });
    this.problems = h('div', { id: 'runs-problems', class: 'runs-problems', role: 'status' });
    this.sorts = sortSelect((sort) => this.change(() => { this.sort = sort; }));
    this.found = h('span', { class: 'muted num', role: 'status', 'aria-live': 'polite' });
    this.clear = button('Clear choice', { kind: 'quiet', onClick: () => this.choose([...this.chosen], false) });
    this.body = h('div', { class: 'runs-body' });
    this.bar = h('div', { class: 'runs-bar' },
      h('div', { class: 'runs-search' }, icon('search'), this.search),
      this.statuses,
      h('div', { class: 'runs-actions' }, this.compare, this.newRun));
    this.foot = h('div', { class: 'toolbar runs-foot' },
      h('div', { class: 'row' }, this.found, this.clear), this.sorts, help());
    replace(
      this.element,
      h(
        'div',
        { class: 'screen runs-page' },
        h('h1', { class: 'visually-hidden' }, 'Runs'),
        this.bar,
        this.problems,
        this.failure,
        h('div', { class: 'card runs-card' }, this.body),
        this.foot,
      ),
    );
    document.addEventListener('keydown', (event) => this.press(event));
    window.addEventListener('popstate', () => this.change(() => {
      this.readAddress();
      this.search.value = this.text;
    }));
  }

  show() {
    const now = Date.now() / 1000;
    const { matches, problems } = parseFilter(this.text);
    const found = this.runs.filter((run) => matches(run, now));
    this.bar.hidden = this.runs.length === 0; // then there is one thing to do
    this.foot.hidden = this.bar.hidden;
    this.showStatuses();
    if (this.problems.textContent !== problems.join(' ')) replace(this.problems, problems.join(' '));
    if (this.runs.length === 0) this.put('none', () => empty(
      'No runs yet',
      'Choose a model, data, a budget of parameters and a scheduler; then watch every rank move.',
      button('Launch the first run', { icon: 'plus', kind: 'primary', href: '/new' }),
    ));
    else if (found.length === 0) this.put('unfound', () => empty(
      'No run fits the search',
      'All its conditions must hold at once. Take one away, or show all runs.',
      button('Show all runs', { onClick: () => this.searchFor('') }),
    ));
    else {
      this.put('table', () => this.table.element);
      this.table.show(found, this.chosen, this.sort);
    }
    this.showChoice(found);
    this.writeAddress();
  }

  /** Change what fills the body only when its kind changes, so that nothing flickers. */
  put(kind, make) {
    if (this.body.dataset.kind === kind) return;
    this.body.dataset.kind = kind;
    this.body.parentElement.classList.toggle('is-bare', kind !== 'table');
    replace(this.body, make());
  }

  showChoice(found) {
    const shown = new Set(found.map((run) => run.id));
    const hidden = [...this.chosen].filter((id) => !shown.has(id)).length;
    const num = this.chosen.size;
    const label = num ? `Compare ${num}` : 'Compare';
    if (this.compare.textContent !== label) replace(this.compare, label);
    const href = `/compare?${[...this.chosen].map((id) => `run=${encodeURIComponent(id)}`).join('&')}`;
    this.compare.setAttribute('href', num > 1 ? href : '/compare');
    if (num > 1) {
      this.compare.removeAttribute('aria-disabled');
      this.compare.removeAttribute('title');
    } else {
      this.compare.setAttribute('aria-disabled', 'true');
      this.compare.setAttribute('title', 'Choose two runs or more with their check boxes');
    }
    this.compare.onclick = (event) => num > 1 || event.preventDefault();
    const all = this.total > this.runs.length ? `, newest ${format.count(this.runs.length)} of ${format.count(this.total)}` : '';
    const parts = [`${format.count(found.length)} run${found.length === 1 ? '' : 's'}${all}`];
    if (num) parts.push(`${num} chosen${hidden ? ` (${hidden} not shown)` : ''}`);
    if (this.found.textContent !== parts.join(' · ')) this.found.textContent = parts.join(' · ');
    this.clear.hidden = num === 0;
    this.sorts.querySelector('select').value = this.sort;
  }

  showStatuses() {
    const numOf = (wanted) => this.runs.filter((run) =>
      !wanted || (wanted === 'open' ? OPEN.has(run.status) : wanted.split(',').includes(run.status))).length;
    const current = (this.text.match(/(?:^|\s)status=(\S+)/) ?? [])[1] ?? '';
    const key = JSON.stringify([current, STATUSES.map(([, wanted]) => numOf(wanted))]);
    if (this.statuses.dataset.key === key) return;
    this.statuses.dataset.key = key;
    if (this.statuses.children.length === 0) {
      replace(this.statuses, STATUSES.map(([label, wanted]) => button(label, { onClick: () => this.filterStatus(wanted) })));
    }
    STATUSES.forEach(([label, wanted], index) => {
      const one = this.statuses.children[index];
      one.setAttribute('aria-pressed', String(current === wanted));
      replace(one, label, h('span', { class: 'num count' }, format.count(numOf(wanted))));
    });
  }

  filterStatus(wanted) {
    const rest = this.text.replace(/(^|\s)status=\S+/g, ' ').trim().replace(/\s+/g, ' ');
    this.searchFor(`${wanted ? `status=${wanted}` : ''} ${rest}`.trim());
  }

  searchFor(text) {
    this.search.value = text;
    this.change(() => { this.text = text; });
  }

  choose(ids, isChosen) {
    this.change(() => ids.forEach((id) => (isChosen ? this.chosen.add(id) : this.chosen.delete(id))));
  }

  change(apply) {
    apply();
    if (this.runs) this.show();
  }

  async act(run, verb) {
    try {
      await api(`/api/runs/${encodeURIComponent(run.id)}/${verb}`, { method: 'POST', body: {} });
      await this.load();
    } catch (error) {
      this.showFailure(error, `${run.name || run.id} could not ${verb}`);
    }
  }

  showFailure(error, title = 'Runs could not be read') {
    const shown = problem(title, error.message);
    if (!this.table) replace(this.element, h('div', { class: 'screen' }, shown));
    else {
      replace(this.failure, shown);
      this.failure.hidden = false;
    }
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const isTyping = event.target.closest?.('input:not([type="checkbox"]), select, textarea');
    if (event.key === 'Escape' && event.target === this.search) this.search.blur();
    if (isTyping) return;
    const actions = {
      '/': () => this.search.focus(),
      n: () => this.newRun.click(),
      c: () => this.compare.click(),
      j: () => this.table.move(1),
      k: () => this.table.move(-1),
      ArrowDown: () => this.table.move(1, true),
      ArrowUp: () => this.table.move(-1, true),
      x: () => this.table.toggle(),
    };
    if (event.key in actions && actions[event.key]() !== false) event.preventDefault();
  }

  readAddress() {
    const address = new URLSearchParams(window.location.search);
    this.text = address.get('q') ?? '';
    const sort = address.get('sort') ?? '-created';
    this.sort = sort.replace(/^-/, '') in SORTS ? sort : '-created';
    this.chosen = new Set(address.getAll('run'));
  }

  writeAddress() {
    const address = new URLSearchParams();
    if (this.text) address.set('q', this.text);
    if (this.sort !== '-created') address.set('sort', this.sort);
    this.chosen.forEach((id) => address.append('run', id));
    const query = address.toString();
    const wanted = window.location.pathname + (query ? `?${query}` : '');
    if (wanted !== window.location.pathname + window.location.search) window.history.replaceState(null, '', wanted);
  }
}

/** Narrow screens have no column heads to sort by. */
function sortSelect(onSort) {
  const options = Object.entries(SORTS).flatMap(([key, { label, first }]) => {
    const both = first === '-' ? [`-${key}`, key] : [key, `-${key}`];
    return both.map((value) => h('option', { value }, `${label}, ${value.startsWith('-') ? 'falling' : 'rising'}`));
  });
  return h('label', { class: 'runs-sort' }, 'Sort by ', h('select', {
    class: 'input', onchange: (event) => onSort(event.target.value),
  }, options));
}

function help() {
  const keys = [['/', 'search'], ['j k', 'next, previous run'], ['x', 'choose'], ['Enter', 'open'], ['c', 'compare'], ['n', 'new run']];
  return h('details', { class: 'runs-help' },
    h('summary', null, 'Search and keys'),
    h('p', { class: 'muted' }, 'Conditions are joined by "and", commas by "or": ',
      h('code', null, 'scheduler=hydra,uniform budget<=200k score>70 age<2h owner=ana'),
      ', and any word of a name. Keys: ', Object.keys(KEYS).join(', '), '.'),
    h('p', { class: 'muted keys' }, keys.map(([key, what]) => h('span', null, h('kbd', null, key), ' ', what))));
}
