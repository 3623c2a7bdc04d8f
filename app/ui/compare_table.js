/** Tables of a comparison: scores by configuration with seeds within, settings that differ. */

import { format, h, icon, statusChip } from './ui.js';

const BASIS = {
  't over seeds': (row) => `t over ${row.num_seeds} seeds`,
  'Wilson over items': (row) => `Wilson over ${format.count(row.num_items)} items, 1 seed`,
  'paired normal over items': (row) => `paired over ${format.count(row.num_items)} items, 1 seed`,
};
const ABSENT = '(absent)';
const LIVE = new Set(['starting', 'running', 'paused']);
const OPEN = new Set(['queued', ...LIVE]);

/** The colour of a configuration, in all pictures and tables. */
export function colorOf(index) {
  return `var(--series-${(index % 7) + 1})`;
}

/**
 * One row per configuration; its runs below it where it is unfolded.
 * @param {object} page Answer of /api/compare.
 * @param {Set<string>} unfolded Configurations.
 * @returns {HTMLElement}
 */
export function scoreTable(page, unfolded) {
  const baseline = page.arms.find((arm) => arm.is_baseline);
  const reach = Math.max(0, ...page.arms.flatMap(({ difference }) =>
    difference?.low === undefined || difference.low === null ? [] : [Math.abs(difference.low), Math.abs(difference.high)]));
  const heads = [
    ['Configuration'], ['Seeds', true], ['Score, 95 %', true, 'Accuracy on test after training: mean over seeds with its 95 % interval'],
    [`Minus ${page.baseline}, points`, false, 'Difference in percentage points on the seeds and items that both have, with its 95 % interval'],
    ['Budget', true, 'Trainable adapter parameters allowed'], ['Live at most', true, 'Largest number of trainable adapter parameters at any moment'],
    ['Time per run', true, 'Mean of the runs that are done'], ['Measuring', true, 'Of it spent on the measurements that the scheduler asked for'], [''],
  ];
  return h('table', { class: 'table compare-table', 'aria-label': 'Scores by configuration' },
    h('thead', null, h('tr', null, heads.map(([label, isNumber, hint]) =>
      h('th', { scope: 'col', class: isNumber ? 'num' : null, title: hint ?? null }, label || h('span', { class: 'visually-hidden' }, 'Actions'))))),
    page.arms.map((arm, index) => {
      const isOpen = unfolded.has(arm.configuration);
      return h('tbody', { 'data-key': arm.configuration },
        armRow(arm, index, isOpen, reach, page),
        isOpen && arm.runs.map((run) => runRow(run, baseline)));
    }));
}

/**
 * The settings that differ between configurations, and no others; those that only one of them has
 * (its scheduler's own) are folded.
 * @param {object} page
 * @returns {HTMLElement|null}
 */
export function differenceTable(page) {
  if (page.arms.length < 2) return null;
  const numWith = ({ values }) => values.filter((value) => value !== ABSENT).length;
  const shared = page.differences.filter((row) => numWith(row) > 1);
  const own = page.differences.filter((row) => numWith(row) < 2);
  return h('section', { class: 'card', 'aria-labelledby': 'settings-title' },
    h('h2', { id: 'settings-title' }, 'Settings that differ'),
    h('p', { class: 'muted small' }, 'Everything else is equal, apart from seed, name and tags.'),
    shared.length > 0 && settings(page.arms, shared, 'Settings that differ'),
    own.length > 0 && h('details', null,
      h('summary', null, `${own.length} setting${own.length === 1 ? '' : 's'} that only one configuration has`),
      settings(page.arms, own, 'Settings that only one configuration has')));
}

function settings(arms, rows, label) {
  return h('div', { class: 'table-scroll', tabindex: '0', role: 'region', 'aria-label': label },
    h('table', { class: 'table table-dense settings-table' },
      h('thead', null, h('tr', null, h('th', { scope: 'col' }, 'Key'),
        arms.map((arm, index) => h('th', { scope: 'col' }, swatch(index), arm.configuration)))),
      h('tbody', null, rows.map(({ key, values }) => h('tr', { 'data-key': key },
        h('th', { scope: 'row' }, h('code', null, key)),
        values.map((value) => h('td', null, value === ABSENT ? h('span', { class: 'muted' }, '–') : h('code', null, value))))))));
}

function armRow(arm, index, isOpen, reach, page) {
  const numOpen = arm.runs.filter((run) => OPEN.has(run.status)).length;
  const over = arm.is_within_budget ? 0 : arm.max_live_params - arm.budget_params;
  return h('tr', { class: 'arm', 'data-baseline': arm.is_baseline || null },
    h('th', { scope: 'row' },
      h('button', {
        type: 'button', class: 'arm-fold', 'data-act': 'fold', 'data-arm': arm.configuration,
        'aria-expanded': String(isOpen), 'aria-label': `${isOpen ? 'Fold' : 'Unfold'} the runs of ${arm.configuration}`,
      }, icon('next'), swatch(index), h('span', { class: 'arm-name' }, arm.configuration)),
      arm.is_baseline && h('span', { class: 'chip' }, 'baseline')),
    cell('Seeds', 'num', seeds(arm, numOpen)),
    cell('Score, 95 %', 'num', score(arm)),
    cell(`Minus ${page.baseline}`, 'cell-difference', difference(arm, reach)),
    cell('Budget', 'num', h('span', { class: arm.is_equal_budget ? null : 'is-warn' },
      !arm.is_equal_budget && icon('warning'), format.count(arm.budget_params)),
    !arm.is_equal_budget && h('span', { class: 'below is-warn' }, 'unequal')),
    cell('Live at most', 'num', h('span', { class: over ? 'is-warn' : null }, over > 0 && icon('warning'), format.count(arm.max_live_params)),
      over > 0 && h('span', { class: 'below is-warn' }, `${format.count(over)} over budget`)),
    cell('Time per run', 'num', format.duration(arm.wall_s)),
    cell('Measuring', 'num', format.duration(arm.measurement_s),
      arm.measurement_items > 0 && h('span', { class: 'below muted' }, `${format.count(arm.measurement_items)} items`)),
    h('td', { class: 'cell-remove' }, removal(arm.runs.map((run) => run.id), arm.configuration)));
}

function runRow(run, baseline) {
  const twin = baseline.runs.find((other) => other.seed === run.seed);
  const gain = twin && twin.id !== run.id && run.accuracy !== null && twin.accuracy !== null ? run.accuracy - twin.accuracy : null;
  const name = run.name || run.id;
  return h('tr', { class: 'of-arm', 'data-key': run.id },
    h('td', null,
      h('a', { class: 'link', href: `/run?run=${encodeURIComponent(run.id)}` }, `seed ${run.seed}`),
      ' ', h('span', { class: 'muted' }, name),
      ['failed', 'lost'].includes(run.status) && h('span', { class: 'below is-bad' }, run.status_reason)),
    cell('Status', 'num', statusChip(run.status, run.status_reason), LIVE.has(run.status) && bar(run.step, run.num_steps)),
    cell('Score', 'num', format.percent(run.accuracy),
      run.accuracy === null && run.validation_accuracy !== null && h('span', { class: 'below muted' }, `validation ${format.percent(run.validation_accuracy)}`)),
    cell('Same seed', 'cell-difference', gain === null ? h('span', { class: 'muted' }, '–') : h('span', { class: 'num' }, points(gain))),
    cell('Budget', 'num', format.count(run.budget_params)),
    cell('Live at most', 'num', format.count(run.max_live_params)),
    cell('Time', 'num', format.duration(run.wall_s)),
    cell('Measuring', 'num', format.duration(run.measurement_s)),
    h('td', { class: 'cell-remove' }, removal([run.id], `${name}, seed ${run.seed},`)));
}

function cell(label, classes, ...children) {
  return h('td', { class: classes, 'data-label': label }, h('div', null, children));
}

/** How many seeds count, and how far the others are. */
function seeds(arm, numOpen) {
  const done = arm.runs.reduce((sum, run) => sum + run.step, 0);
  const all = arm.runs.reduce((sum, run) => sum + run.num_steps, 0);
  const isWhole = arm.num_scored === arm.num_runs;
  return [
    isWhole ? String(arm.num_seeds) : `${arm.num_scored} of ${arm.num_runs} scored`,
    numOpen > 0 && bar(done, all),
  ];
}

function bar(step, numSteps) {
  const done = numSteps ? step / numSteps : 0;
  return h('span', { class: 'below progress' },
    h('span', {
      class: 'bar', role: 'progressbar', 'aria-label': 'Training', 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-valuenow': Math.round(100 * done),
    }, h('span', { style: { width: `${(100 * done).toFixed(1)}%` } })),
    h('span', { class: 'muted num' }, format.percent(done, 0)));
}

function score(arm) {
  if (arm.accuracy === null) return h('span', { class: 'muted' }, 'no score yet');
  const isSymmetric = Math.abs(arm.high + arm.low - 2 * arm.accuracy) < 1e-6; // not cut at 0 or 1
  const half = `± ${(100 * (arm.high - arm.accuracy)).toFixed(1)}`;
  const range = `[${(100 * arm.low).toFixed(1)}, ${(100 * arm.high).toFixed(1)}]`;
  return [
    h('span', null, h('strong', null, (100 * arm.accuracy).toFixed(1)), ` ${isSymmetric ? half : range}\u202f%`),
    h('span', { class: 'below muted' }, BASIS[arm.basis]?.(arm) ?? arm.basis),
  ];
}

/** The difference in figures, and as an interval over a line at zero; equal scales in all rows. */
function difference(arm, reach) {
  const found = arm.difference;
  if (arm.is_baseline) return h('span', { class: 'muted' }, 'baseline');
  if (!found || found.difference === null) return h('span', { class: 'muted' }, 'not known yet');
  const at = (value) => 50 + (reach ? 47 * (value / reach) : 0);
  const tone = found.low > 0 ? 'is-better' : found.high < 0 ? 'is-worse' : 'is-unclear';
  return [
    h('span', { class: 'num' }, h('strong', null, points(found.difference)), ` [${points(found.low)}, ${points(found.high)}]`),
    h('span', { class: `whisker ${tone}`, 'aria-hidden': 'true' },
      h('span', { class: 'span', style: { left: `${at(found.low)}%`, width: `${at(found.high) - at(found.low)}%` } }),
      h('span', { class: 'mean', style: { left: `${at(found.difference)}%` } })),
    h('span', { class: 'below muted' }, found.basis.startsWith('t over') ? `paired over ${found.num_seeds} seeds` : BASIS[found.basis]?.(found)),
  ];
}

function removal(ids, what) {
  return h('button', {
    type: 'button', class: 'button button-quiet button-icon', 'data-act': 'remove', 'data-runs': ids.join(' '),
    'aria-label': `Take ${what} out of the comparison`, title: 'Take out of the comparison',
  }, icon('close'));
}

function swatch(index) {
  return h('i', { class: 'swatch', style: { background: colorOf(index) }, 'aria-hidden': 'true' });
}

/** A difference of fractions in percentage points, signed. */
function points(fraction) {
  const value = (100 * fraction).toFixed(1);
  if (Number(value) === 0) return '0.0';
  return value.startsWith('-') ? `−${value.slice(1)}` : `+${value}`;
}
