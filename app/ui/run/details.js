/** What the run is made of and what it left: scores, files, configuration. */

import { format, h, replace, ticking } from '../ui.js';

const KEPT_CHECKPOINTS = 2; // as CheckpointSettings says
const SCORES = {
  before: 'before training', after: 'after training', shuffled_images: 'images shuffled',
  question_only: 'question only, no model', during: 'latest',
};

/** One card with three parts. */
export class Details {
  constructor() {
    this.scores = h('div');
    this.files = h('div');
    this.settings = h('div');
    this.data = h('div', { class: 'run-part', hidden: true });
    this.element = h('section', { class: 'card run-details', 'aria-label': 'Details of the run' },
      part('Scores', this.scores), part('Files', this.files), this.data, part('Configuration', this.settings));
  }

  /** @param {import('./history.js').History} history */
  update(history) {
    const { evaluations, artifacts, checkpoints } = history;
    const record = history.run.data_record;
    const text = [evaluations.length, artifacts.length, checkpoints.at(-1)?.id, history.run.status, record?.content_hash].join();
    if (text === this.shown) return;
    this.shown = text;
    replace(this.scores, scores(history));
    replace(this.files, files(history));
    this.data.hidden = !record;
    if (record) replace(this.data, h('h2', null, 'Data'), data(record));
  }

  /** @param {{key: string, value: any, default: any, is_default: boolean}[]} settings */
  showSettings(settings) {
    const changed = settings.filter((row) => !row.is_default);
    const rest = settings.filter((row) => row.is_default);
    replace(this.settings,
      h('p', { class: 'muted small' }, changed.length ? 'What differs from the defaults; the default on hover.' : 'All settings have their default.'),
      facts(changed),
      rest.length > 0 && h('details', null, h('summary', null, `${rest.length} settings at their default`), facts(rest)));
  }
}

function part(title, content) {
  return h('div', { class: 'run-part' }, h('h2', null, title), content);
}

function scores({ run, evaluations }) {
  const shown = ['before', 'question_only', 'after', 'shuffled_images'].flatMap((when) => (
    evaluations.findLast((form) => form.part === 'test' && form.when === when) ?? []
  ));
  const validation = evaluations.findLast((form) => form.part === 'validation');
  if (validation) shown.push({ ...validation, when: 'during' });
  if (!shown.length) return h('p', { class: 'muted' }, run.ended_at ? 'Nothing was scored.' : 'Not scored yet.');
  return h('table', { class: 'table table-dense' },
    h('thead', null, h('tr', null, h('th', { scope: 'col' }, 'Part'), h('th', { scope: 'col' }, ''),
      h('th', { scope: 'col', class: 'num', title: '95 % Wilson interval over items' }, 'Accuracy [95 %]'), h('th', { scope: 'col', class: 'num' }, 'Items'))),
    h('tbody', null, shown.map((form) => h('tr', null,
      h('td', null, form.part), h('td', { class: 'muted' }, form.when === 'during' ? `step ${format.count(form.step)}` : SCORES[form.when]),
      h('td', { class: 'num' }, format.interval(form.accuracy, form.low, form.high)), h('td', { class: 'num' }, format.count(form.num_items))))));
}

function files({ run, artifacts }) {
  const times = h('dl', { class: 'facts small' },
    [['Created', run.created_at], ['Started', run.started_at], ['Ended', run.ended_at]].flatMap(([name, at]) => (
      at ? [h('dt', null, name), h('dd', null, ticking(at))] : []
    )),
    run.attempt > 1 && [h('dt', null, 'Attempt'), h('dd', null, String(run.attempt))],
    run.worker_id && [h('dt', null, 'Worker'), h('dd', null, run.worker_id)]);
  if (!artifacts.length) return [h('p', { class: 'muted' }, run.ended_at ? 'No files.' : 'No checkpoint yet.'), times];
  return [
    h('table', { class: 'table table-dense' },
      h('thead', null, h('tr', null, h('th', { scope: 'col' }, 'Kind'), h('th', { scope: 'col', class: 'num' }, 'Step'), h('th', { scope: 'col', class: 'num' }, 'Size'), h('th', { scope: 'col' }, 'Path'))),
      h('tbody', null, kept(artifacts).map((artifact) => h('tr', null,
        h('td', null, artifact.kind), h('td', { class: 'num' }, format.count(artifact.step)),
        h('td', { class: 'num' }, format.bytes(artifact.size_bytes)), h('td', null, h('code', null, artifact.path)))))),
    times,
  ];
}

/** What people's own data held when the run read them. */
function data(record) {
  const used = record.num_rows - record.num_broken - record.num_between_parts;
  const rows = [
    ['Rows read', format.count(record.num_rows)],
    ['Rows used', format.count(used)],
    ['Broken, left out', format.count(record.num_broken)],
    ['Between parts, left out', format.count(record.num_between_parts)],
  ];
  return [
    h('dl', { class: 'facts small' },
      rows.flatMap(([name, value]) => [h('dt', null, name), h('dd', { class: 'num' }, value)]),
      h('dt', null, 'Content'),
      h('dd', { title: 'SHA-256 of keys, turns and pictures of all good rows' }, h('code', { class: 'run-hash' }, record.content_hash))),
    record.broken.length > 0 && h('details', { class: 'small' },
      h('summary', null, record.broken.length === 1 ? 'The first broken row' : `The first ${format.count(record.broken.length)} broken rows`),
      h('ul', null, record.broken.map((row) => h('li', null, row)))),
  ];
}

/** Of checkpoints only the last ones are still on disk. */
function kept(artifacts) {
  const checkpoints = artifacts.filter((artifact) => artifact.kind === 'checkpoint').slice(-KEPT_CHECKPOINTS);
  return [...artifacts.filter((artifact) => artifact.kind !== 'checkpoint'), ...checkpoints].reverse();
}

function facts(rows) {
  return h('dl', { class: 'facts small settings' }, rows.flatMap((row) => [
    h('dt', null, row.key),
    h('dd', { title: row.is_default ? null : `Default: ${said(row.default)}` }, said(row.value)),
  ]));
}

function said(value) {
  if (value === null || value === undefined) return 'none';
  if (Array.isArray(value)) return value.map(said).join(', ') || 'none';
  return String(value);
}
