/** The figures of an evaluation as its benchmark reports them, and the difference of two. */

import { format, h, icon, notice, problem } from '../ui.js';

const SUITES = { gqa: 'GQA', science_qa: 'ScienceQA', text_vqa: 'TextVQA', pope: 'POPE', mme: 'MME', mmbench: 'MMBench' };
const NAMES = {
  mean_f1: 'F1, mean of the splits', f1: 'F1', accuracy: 'Accuracy', precision: 'Precision', recall: 'Recall',
  yes_ratio: 'Answers that say yes', perception: 'Perception', cognition: 'Cognition', total: 'Total', score: 'Points',
  accuracy_percent: 'Accuracy', accuracy_plus_percent: 'Accuracy+', circular_accuracy: 'CircularEval',
  vanilla_accuracy: 'Vanilla, first rotation only', image_accuracy: 'With a picture', text_accuracy: 'Text alone',
  open: 'Open questions', binary: 'Yes or no', items: 'Items',
};
const POINTS = new Set(['perception', 'cognition', 'total', 'score']);
const BEST = { perception: 2000, cognition: 800, total: 2800, score: 200 };
const SETTINGS = { ocr_tokens: 'OCR tokens in the prompt' };
const ENDED_EARLY = new Set(['failed', 'stopped']);

/** A benchmark's name as tables have it. */
export function suiteTitle(kind) {
  return SUITES[kind] ?? kind;
}

/** The figure that tables show, with its interval. */
export function headline({ score }) {
  if (!score) return '–';
  const name = score.headline;
  const bounds = score.intervals[name];
  const value = shown(name, score.metrics[name]);
  if (!bounds) return `${short(name)} ${value}`;
  return POINTS.has(name) || name.endsWith('f1') ? `${short(name)} ${value} ${between(name, bounds)}` : format.interval(score.metrics[name], ...bounds);
}

/**
 * All figures of one evaluation, or why there are none yet.
 * @param {object} row
 * @param {boolean} canOperate
 */
export function figuresCard(row, canOperate) {
  return h('section', { class: 'card', 'aria-labelledby': 'figures-title' },
    h('div', { class: 'toolbar' },
      h('h2', { id: 'figures-title' }, `${suiteTitle(row.benchmark)} of ${row.title}`),
      h('div', { class: 'row' },
        canOperate && ['queued', 'starting', 'running'].includes(row.status) && act('stop', row, 'stop', row.status === 'queued' ? 'Cancel' : 'Stop'),
        canOperate && ENDED_EARLY.has(row.status) && act('resume', row, 'play', 'Resume'),
        row.num_answered > 0 && act('answers', row, 'file', 'Answers'),
        row.score && act('wrong', row, 'failed', 'Wrong ones'))),
    state(row),
    row.score && [metrics(row.score), categories(row.score), notes(row.score)],
    about(row));
}

/**
 * Which of two did better on the same items.
 * @param {object} ours
 * @param {object} theirs
 * @param {object} found As the API gives it.
 */
export function differenceCard(ours, theirs, found) {
  const { mean, low, high } = found.difference;
  const isSure = low > 0 || high < 0;
  const points = (value) => `${value < 0 ? '−' : '+'}${Math.abs(100 * value).toFixed(1)}`;
  return h('section', { class: 'card', 'aria-labelledby': 'difference-title' },
    h('h2', { id: 'difference-title' }, 'Is the difference real?'),
    h('p', { class: 'benchmarks-difference' },
      h('span', { class: `chip ${isSure ? 'chip-good' : ''}` }, icon(isSure ? 'check' : 'info'), isSure ? 'yes, within these items' : 'not shown'),
      h('strong', { class: 'num' }, `${points(mean)} points [${points(low)}, ${points(high)}]`)),
    h('p', { class: 'muted' }, `Accuracy of ${name(ours)} (${format.percent(found.ours)}) less that of ${name(theirs)} (${format.percent(found.theirs)}) over `,
      h('span', { class: 'num' }, format.count(found.num_pairs)), ` ${found.what}, paired, 95 %. Better in ${format.count(found.num_only_ours)}, worse in ${format.count(found.num_only_theirs)}. Other seeds are not part of it.`));
}

function name(row) {
  return row ? row.title : 'an older evaluation';
}

function state(row) {
  const rate = row.generation_s > 0 ? row.num_answered / row.generation_s : null;
  const done = `${format.count(row.num_answered)} of ${format.count(row.num_items)} items`;
  switch (row.status) {
    case 'queued':
      return notice('Waits in the queue', row.status_reason || 'Runs and evaluations begin in one order, by priority and age.', '', 'calm');
    case 'starting':
      return notice('Starting', row.status_reason || 'A worker has taken it.', '', 'calm');
    case 'running':
      return notice(`${done} answered`, rate ? `${rate >= 1 ? rate.toFixed(1) : rate.toPrecision(2)} items/s, ETA ${format.clock(row.eta_s)}` : 'The first batch is being answered.', '', 'calm');
    case 'failed':
      return problem(`Failed with ${done} answered`, row.status_reason, 'Mend what it says, then resume: only the rest is asked.');
    case 'stopped':
      return notice(`Stopped with ${done} answered`, row.status_reason, 'Resume it to answer the rest.');
    default:
      return null;
  }
}

function metrics(score) {
  return h('dl', { class: 'benchmarks-figures' }, Object.entries(score.metrics).map(([key, value]) => {
    const bounds = score.intervals[key];
    return h('div', { class: key === score.headline ? 'is-headline' : null },
      h('dt', null, NAMES[key] ?? key),
      h('dd', { class: 'num' }, shown(key, value), POINTS.has(key) && h('span', { class: 'muted small' }, ` of ${format.count(BEST[key])}`),
        bounds && h('span', { class: 'muted small', title: '95 % over items' }, ` ${between(key, bounds)}`)));
  }));
}

function between(key, bounds) {
  const scale = POINTS.has(key) ? 1 : 100;
  return `[${bounds.map((bound) => (scale * bound).toFixed(1)).join(', ')}]`;
}

function categories(score) {
  const rows = Object.entries(score.by_category);
  const columns = [...new Set(rows.flatMap(([, found]) => Object.keys(found)))];
  return rows.length > 0 && h('div', { class: 'table-scroll' }, h('table', { class: 'table table-dense', 'aria-label': 'By category' },
    h('thead', null, h('tr', null, h('th', { scope: 'col' }, 'Category'), columns.map((key) => h('th', { scope: 'col', class: 'num' }, NAMES[key] ?? key)))),
    h('tbody', null, rows.map(([category, found]) => h('tr', null, h('th', { scope: 'row' }, category),
      columns.map((key) => {
        const bounds = key === 'accuracy' ? score.intervals_by_category[category] : null;
        return h('td', { class: 'num', title: bounds ? `95 % over items: ${(100 * bounds[0]).toFixed(1)} to ${(100 * bounds[1]).toFixed(1)}` : null }, shown(key, found[key]));
      }))))));
}

function notes(score) {
  const settings = Object.entries(score.settings).map(([key, value]) => `${SETTINGS[key] ?? key}: ${value}`);
  const said = [...settings, ...score.notes];
  return said.length > 0 && h('ul', { class: 'benchmarks-notes muted' }, said.map((note) => h('li', null, note)));
}

function about(row) {
  const versions = row.versions ? Object.entries(row.versions).map(([key, value]) => `${key} ${value}`).join(', ') : '';
  return h('p', { class: 'muted small benchmarks-about' },
    h('span', null, 'Evaluation ', h('code', null, row.id)), h('span', null, `by ${row.owner}`),
    row.generation_s > 0 && h('span', null, `answers took ${format.duration(row.generation_s)}`),
    row.content_hash && h('span', { title: row.content_hash }, 'files ', h('code', null, row.content_hash.slice(0, 12))),
    versions && h('span', null, versions));
}

function shown(key, value) {
  if (value === undefined || value === null) return '–';
  if (key === 'items') return format.count(value);
  if (POINTS.has(key)) return value.toLocaleString('en-US', { minimumFractionDigits: 1, maximumFractionDigits: 1 });
  return key.endsWith('_percent') ? format.percent(value / 100) : format.percent(value);
}

function short(key) {
  return { mean_f1: 'F1' }[key] ?? NAMES[key] ?? key;
}

function act(kind, row, sign, label) {
  return h('button', { type: 'button', class: 'button button-quiet', 'data-act': kind, 'data-id': row.id, 'data-key': kind }, icon(sign), label);
}
