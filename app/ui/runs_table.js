/** The table of runs: rows are kept and changed in place, so that focus and scroll stay. */

import { button, format, h, icon, replace, statusChip } from './ui.js';
import { OPEN } from './filter.js';

const PORTION = 100;

/** What can be sorted by: label, value of a run, direction that comes first. */
export const SORTS = {
  status: { label: 'Status', of: (run) => ORDER.indexOf(run.status), first: '' },
  name: { label: 'Name', of: (run) => run.name.toLowerCase(), first: '' },
  scheduler: { label: 'Scheduler', of: (run) => run.scheduler, first: '' },
  data: { label: 'Data', of: (run) => run.data, first: '' },
  budget: { label: 'Budget', of: (run) => run.budget_params, first: '-' },
  score: { label: 'Score', of: (run) => run.accuracy, first: '-' },
  created: { label: 'Age', of: (run) => run.created_at, first: '-' },
  owner: { label: 'Owner', of: (run) => run.owner, first: '' },
};

const ORDER = ['running', 'starting', 'paused', 'queued', 'failed', 'lost', 'stopped', 'done'];
const NUMERIC = new Set(['budget', 'score', 'created']);
const HINTS = {
  budget: 'Trainable adapter parameters',
  score: 'Accuracy on test after training, with its 95 % interval over the test items (Wilson)',
  created: 'Since it was launched',
};

/** A table of runs with check boxes, sortable columns and actions. */
export class RunTable {
  /**
   * @param {{sort: string, canOperate: boolean, onSort: (sort: string) => void,
   *   onChoose: (ids: string[], isChosen: boolean) => void,
   *   onAct: (run: object, verb: string) => void}} options
   */
  constructor(options) {
    this.options = options;
    this.rows = new Map();
    this.limit = PORTION;
    this.last = null;
    this.all = h('input', {
      type: 'checkbox', 'aria-label': 'Choose all runs shown',
      onchange: () => options.onChoose(this.ids, this.all.checked),
    });
    this.heads = Object.fromEntries(Object.keys(SORTS).map((key) => [key, this.head(key)]));
    this.body = h('tbody');
    this.more = button('Show more', { kind: 'quiet', onClick: () => this.grow() });
    this.element = h('div', null,
      h('table', { class: 'table runs-table', 'aria-label': 'Runs' },
        h('thead', null, h('tr', null,
          h('th', { scope: 'col', class: 'cell-choose' }, this.all),
          Object.values(this.heads),
          h('th', { scope: 'col' }, h('span', { class: 'visually-hidden' }, 'Actions')))),
        this.body),
      h('div', { class: 'runs-more' }, this.more));
    new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && this.grow(), { rootMargin: '600px' })
      .observe(this.more);
  }

  /** Show runs; rows that have not changed are not touched. */
  show(runs, chosen, sort) {
    this.found = sorted(runs, sort);
    this.chosen = chosen;
    this.ids = this.found.map((run) => run.id);
    for (const [key, head] of Object.entries(this.heads)) showSort(head, key, sort);
    const numChosen = this.ids.filter((id) => chosen.has(id)).length;
    this.all.checked = numChosen > 0 && numChosen === this.ids.length;
    this.all.indeterminate = numChosen > 0 && numChosen < this.ids.length;
    this.draw();
  }

  draw() {
    const focused = document.activeElement;
    const shown = this.found.slice(0, this.limit);
    let cursor = this.body.firstChild;
    for (const run of shown) {
      if (!this.rows.has(run.id)) this.rows.set(run.id, this.row(run.id));
      const row = this.rows.get(run.id);
      row.update(run, this.chosen.has(run.id));
      if (row.element === cursor) cursor = cursor.nextSibling;
      else this.body.insertBefore(row.element, cursor);
    }
    while (cursor) {
      const next = cursor.nextSibling;
      cursor.remove();
      cursor = next;
    }
    if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
    const left = this.found.length - shown.length;
    this.more.hidden = left <= 0;
    if (left > 0) replace(this.more, `Show ${format.count(Math.min(PORTION, left))} more of ${format.count(left)}`);
  }

  grow() {
    if (!this.found || this.limit >= this.found.length) return;
    this.limit += PORTION;
    this.draw();
  }

  /** Move the focus to the next or previous run; false if that is none of our business. */
  move(by, isArrow = false) {
    const rows = [...this.body.children];
    const at = rows.findIndex((row) => row.contains(document.activeElement));
    if (isArrow && at < 0) return false;
    const next = rows[Math.min(rows.length - 1, Math.max(0, at + by))];
    next?.querySelector('a').focus();
    return undefined;
  }

  /** Choose the run that has the focus, or drop it. */
  toggle() {
    const row = [...this.body.children].find((one) => one.contains(document.activeElement));
    if (!row) return false;
    row.querySelector('input[type="checkbox"]').click();
    return undefined;
  }

  head(key) {
    const { label } = SORTS[key];
    return h('th', { scope: 'col', class: NUMERIC.has(key) ? 'num' : null, 'data-key': key },
      h('button', {
        type: 'button', class: 'sort', title: HINTS[key] ?? null,
        onclick: () => this.options.onSort(nextSort(key, this.heads[key].dataset.sort)),
      }, key === 'score' ? 'Score (95 %)' : label, h('span', { class: 'direction' }, icon('sort'))));
  }

  row(id) {
    const box = h('input', { type: 'checkbox' });
    box.addEventListener('click', (event) => this.pick(id, box.checked, event.shiftKey));
    const link = h('a', { class: 'runs-name', href: `/run?run=${encodeURIComponent(id)}` });
    const meta = h('span', { class: 'muted runs-seed' });
    const reason = h('span', { class: 'runs-reason' });
    const cells = Object.fromEntries(
      ['status', 'scheduler', 'data', 'budget', 'score', 'created', 'owner', 'actions'].map((key) => [
        key, h('td', { class: `cell-${key}${NUMERIC.has(key) ? ' num' : ''}`, 'data-label': SORTS[key]?.label ?? null }),
      ]));
    const element = h('tr', null,
      h('td', { class: 'cell-choose' }, box),
      cells.status,
      h('td', { class: 'cell-name' }, h('div', { class: 'runs-line' }, link, meta, reason)),
      cells.scheduler, cells.data, cells.budget, cells.score, cells.created, cells.owner, cells.actions);
    const seen = {};
    const put = (key, value, place, make) => {
      const text = JSON.stringify(value);
      if (seen[key] === text) return;
      seen[key] = text;
      replace(place, make());
    };
    const update = (run, isChosen) => {
      box.checked = isChosen;
      if (element.getAttribute('aria-selected') !== String(isChosen)) element.setAttribute('aria-selected', String(isChosen));
      const name = run.name || run.id;
      if (box.getAttribute('aria-label') !== `Choose ${name} ${run.id}`) box.setAttribute('aria-label', `Choose ${name} ${run.id}`);
      put('name', name, link, () => name);
      put('seed', run.seed, meta, () => `seed ${run.seed}`);
      put('reason', reasonOf(run), reason, () => reasonOf(run));
      reason.title = reasonOf(run);
      put('status', [run.status, run.status_reason, run.step, run.num_steps, run.is_held], cells.status, () => progress(run));
      put('scheduler', run.scheduler, cells.scheduler, () => run.scheduler);
      put('data', run.data, cells.data, () => run.data);
      put('budget', [run.budget_params, run.max_live_params], cells.budget, () => budget(run));
      put('score', [run.accuracy, run.accuracy_low, run.accuracy_high], cells.score, () => score(run));
      put('created', age(run), cells.created, () => h('time', { title: new Date(1000 * run.created_at).toLocaleString() }, age(run)));
      put('owner', run.owner, cells.owner, () => run.owner);
      put('actions', [run.status, run.origin], cells.actions, () => this.actions(run, name));
    };
    return { element, update };
  }

  pick(id, isChosen, isRange) {
    const [from, to] = [this.ids.indexOf(this.last), this.ids.indexOf(id)].sort((a, b) => a - b);
    const ids = isRange && from >= 0 ? this.ids.slice(from, to + 1) : [id];
    this.last = id;
    this.options.onChoose(ids, isChosen);
  }

  actions(run, name) {
    if (!this.options.canOperate) return null;
    if (OPEN.has(run.status)) return this.action('stop', run, `Stop ${name}; it can be resumed`);
    const canResume = run.origin === 'queue' && ['stopped', 'failed', 'lost'].includes(run.status);
    return canResume ? this.action('resume', run, `Resume ${name} from its last checkpoint`) : null;
  }

  action(verb, run, label) {
    const made = button(verb === 'stop' ? 'Stop' : 'Resume', {
      icon: verb === 'stop' ? 'stop' : 'play', kind: 'quiet', isIconOnly: true,
      onClick: () => this.options.onAct(run, verb),
    });
    made.setAttribute('aria-label', label);
    made.dataset.tip = label;
    return made;
  }
}

/** Status and, of a live run, how far it is; of equal width in both. */
function progress(run) {
  const isHeld = run.status === 'queued' && run.is_held;
  const chip = statusChip(isHeld ? 'held' : run.status, run.status_reason);
  if (!['running', 'starting', 'paused'].includes(run.status) || !run.num_steps) return chip;
  const done = run.step / run.num_steps;
  return [chip, h('span', { class: 'runs-progress', title: `Step ${format.count(run.step)} of ${format.count(run.num_steps)}` },
    h('span', { class: 'bar', role: 'progressbar', 'aria-label': 'Training', 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-valuenow': Math.round(100 * done) },
      h('span', { style: { width: `${100 * done}%` } })),
    h('span', { class: 'num muted' }, format.percent(done, 0)))];
}

function reasonOf(run) {
  return ['failed', 'lost'].includes(run.status) ? run.status_reason : '';
}

function age(run) {
  return format.ago(run.created_at).replace(' ago', '').replace('\u202fago', '');
}

function budget(run) {
  const isOver = run.budget_params !== null && run.max_live_params > run.budget_params;
  const told = `${format.count(run.max_live_params)} live parameters at most, over its budget`;
  return [
    isOver && h('span', { class: 'runs-over', title: told }, icon('warning'), h('span', { class: 'visually-hidden' }, `${told} of `)),
    format.count(run.budget_params),
  ];
}

function score(run) {
  if (run.accuracy === null || run.accuracy === undefined) return h('span', { class: 'muted unknown' }, '–');
  const known = typeof run.accuracy_low === 'number';
  return [format.percent(run.accuracy), known && h('span', { class: 'muted runs-interval' },
    `${(100 * run.accuracy_low).toFixed(1)}–${(100 * run.accuracy_high).toFixed(1)}`)];
}

function sorted(runs, sort) {
  const { of } = SORTS[sort.replace(/^-/, '')];
  const sign = sort.startsWith('-') ? -1 : 1;
  const keyed = runs.map((run) => [of(run), run]);
  keyed.sort(([a, x], [b, y]) => {
    const [isLeft, isRight] = [a === null || a === undefined, b === null || b === undefined];
    if (isLeft || isRight) return isLeft - isRight || y.created_at - x.created_at; // unknown ones last
    if (a !== b) return sign * (a < b ? -1 : 1);
    return y.created_at - x.created_at || (x.id < y.id ? -1 : 1);
  });
  return keyed.map(([, run]) => run);
}

function nextSort(key, current) {
  const { first } = SORTS[key];
  if (!current) return first + key;
  return current === '-' ? key : `-${key}`;
}

function showSort(head, key, sort) {
  const isThis = sort.replace(/^-/, '') === key;
  const sign = sort.startsWith('-') ? '-' : '+';
  if (isThis) {
    // a young age is a large moment of creation
    const isFalling = (sign === '-') !== (key === 'created');
    if (head.dataset.sort !== sign) replace(head.querySelector('.direction'), icon(isFalling ? 'down' : 'up'));
    head.dataset.sort = sign;
    head.setAttribute('aria-sort', isFalling ? 'descending' : 'ascending');
  } else if (head.dataset.sort) {
    replace(head.querySelector('.direction'), icon('sort'));
    delete head.dataset.sort;
    head.removeAttribute('aria-sort');
  }
}
