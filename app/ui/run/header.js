/** The head of the run's page: what it is, how it stands, how far it is, and what one can do. */

import { api, button, disable, enable, format, h, problem, replace, statusChip } from '../ui.js';
import { phaseOf } from './budget.js';

const OPEN = new Set(['queued', 'starting', 'running', 'paused']);
const NOT_OURS = 'External: its own script trains it, and only that can do this.';
const NOT_OPERATOR = 'Your role is viewer; an operator may stop, resume and export.';
const EXPORT_LIMIT_S = 120;
const SILENT_S = 10;

/** Name, status, buttons, progress and figures of one run. */
export class Header {
  /**
   * @param {string} runId
   * @param {boolean} canOperate
   * @param {() => Promise<void>} reload Reads the page again, after an action.
   */
  constructor(runId, canOperate, reload) {
    this.runId = runId;
    this.canOperate = canOperate;
    this.reload = reload;
    this.pending = '';
    this.status = h('span', { role: 'status', 'aria-live': 'polite', 'aria-label': 'Status of the run' });
    this.pulse = h('span', { class: 'run-pulse', hidden: true }, h('i', { class: 'pulse', 'aria-hidden': 'true' }), h('span', { class: 'num' }));
    this.title = h('h1', null);
    this.meta = h('p', { class: 'run-meta muted' });
    this.answer = h('div', { 'aria-live': 'polite' });
    this.stop = button('Stop', { icon: 'stop', kind: 'danger', onClick: () => this.act('stop', 'Stopping') });
    this.resume = button('Resume', { icon: 'play', onClick: () => this.act('resume', 'Resuming') });
    this.export = button('Export', { icon: 'export', onClick: () => this.startExport() });
    this.download = button('Download adapter', { icon: 'export', href: `/api/runs/${runId}/adapter` });
    this.evaluate = button('Evaluate', { icon: 'check', href: `/benchmarks?run=${encodeURIComponent(runId)}` });
    this.clone = button('Clone', { icon: 'clone', href: `/new?clone=${encodeURIComponent(runId)}` });
    this.progress = h('div', { class: 'bar run-progress', role: 'progressbar', 'aria-label': 'Training', 'aria-valuemin': '0' }, h('span'));
    this.figures = h('dl', { class: 'run-figures' });
    this.element = h(
      'header',
      { class: 'run-head' },
      h('div', { class: 'toolbar' },
        h('div', { class: 'run-name' }, this.title, this.status, this.pulse),
        h('div', { class: 'row' }, this.stop, this.resume, this.export, this.download, this.evaluate, this.clone)),
      this.meta,
      this.answer,
      h('div', { class: 'card run-strip' }, this.progress, this.figures),
    );
  }

  /**
   * @param {import('./history.js').History} history
   * @param {boolean} isConnected
   */
  update(history, isConnected) {
    const { run } = history;
    this.showName(run);
    this.pulse.hidden = run.status !== 'running' || !isConnected || !history.lastEventAt;
    const isSilent = history.now() - history.lastEventAt > SILENT_S;
    this.pulse.firstChild.className = isSilent ? 'is-silent' : 'pulse';
    this.pulse.lastChild.textContent = `last event ${format.ago(history.lastEventAt, history.now())}`;
    this.showButtons(history);
    this.showProgress(run);
    figuresOf(history).forEach((figure, at) => this.showFigure(at, figure));
  }

  /** Texts are set where they changed only: this runs with every message. */
  showFigure(at, [label, value, title]) {
    const place = this.figures.children[at] ?? this.figures.appendChild(h('div', null, h('dt'), h('dd', { class: 'num' })));
    if (place.title !== title) place.title = title;
    if (place.firstChild.textContent !== label) place.firstChild.textContent = label;
    if (place.lastChild.textContent !== value) place.lastChild.textContent = value;
  }

  showName(run) {
    const name = run.name || `${run.scheduler} on ${dataName(run)}`;
    if (this.title.textContent !== name) replace(this.title, name);
    const status = run.is_held && run.status === 'queued' ? 'held' : run.status;
    if (this.shownStatus !== status + run.status_reason) {
      this.shownStatus = status + run.status_reason;
      replace(this.status, statusChip(status, run.status_reason));
    }
    const parts = [
      h('code', { title: 'Id of the run' }, run.id), run.scheduler, dataName(run), modelName(run), `seed ${run.seed}`,
      run.owner && `by ${run.owner}`, ...run.tags.map((tag) => `#${tag}`),
    ];
    if (this.meta.childElementCount === 0) replace(this.meta, parts.filter(Boolean).map((part) => h('span', null, part)));
    const share = run.num_steps ? Math.floor((100 * run.step) / run.num_steps) : 0;
    document.title = `${run.status === 'running' ? `${share} % ` : `${run.status} · `}${name} · Rankscope`;
  }

  showButtons(history) {
    const { run } = history;
    const isOpen = OPEN.has(run.status);
    const adapter = history.artifacts.some((artifact) => artifact.kind === 'adapter');
    this.export.hidden = adapter;
    this.download.hidden = !adapter;
    const canExport = history.checkpoints.length > 0 || run.status === 'done';
    // both stay where they are: no button comes to lie under a second click
    set(this.stop, !this.canOperate ? NOT_OPERATOR : isOpen ? '' : 'The run has ended.');
    const isOurs = run.config?.kind !== 'external';
    this.clone.hidden = !isOurs; // a link cannot be switched off
    this.evaluate.hidden = !isOurs || isOpen;
    set(this.resume, !this.canOperate ? NOT_OPERATOR : isOurs ? resumeRefusal(run) : NOT_OURS);
    set(this.export, !this.canOperate ? NOT_OPERATOR : !isOurs ? NOT_OURS : canExport ? '' : 'There is no checkpoint to export yet.');
    if (this.pending && this.pendingSince !== `${run.status}${run.attempt}`) this.pending = '';
    if (this.pending) set(this[this.pending], 'Asked for; the run answers between two steps.');
  }

  showProgress(run) {
    const share = run.num_steps ? run.step / run.num_steps : 0;
    this.progress.firstChild.style.width = `${100 * share}%`;
    this.progress.setAttribute('aria-valuemax', String(run.num_steps));
    this.progress.setAttribute('aria-valuenow', String(run.step));
    this.progress.classList.toggle('is-ended', !OPEN.has(run.status));
    this.run = run;
  }

  async act(action, doing) {
    this.pending = action;
    this.pendingSince = `${this.run.status}${this.run.attempt}`;
    set(this[action], `${doing}; the run answers between two steps.`);
    replace(this.answer);
    try {
      await api(`/api/runs/${this.runId}/${action}`, { method: 'POST', body: {} });
    } catch (error) {
      this.pending = '';
      replace(this.answer, problem(`Could not ${action} the run`, error.message));
    }
    await this.reload();
  }

  async startExport() {
    set(this.export, 'Exporting; the adapter is written and proved by loading it again.');
    replace(this.answer);
    try {
      await api(`/api/runs/${this.runId}/export`, { method: 'POST', body: {} });
      await this.awaitAdapter();
    } catch (error) {
      replace(this.answer, problem('Could not export the adapter', error.message));
    }
    await this.reload();
  }

  async awaitAdapter() {
    for (let waitedS = 0; waitedS < EXPORT_LIMIT_S; waitedS += 2) {
      await new Promise((resolve) => window.setTimeout(resolve, 2000));
      await this.reload();
      if (!this.download.hidden) return;
    }
    throw new Error(`No worker has exported it within ${EXPORT_LIMIT_S} s; look at the log below, then try again.`);
  }
}

function resumeRefusal(run) {
  if (run.status === 'done') return 'The run is done; Clone it to train again.';
  return OPEN.has(run.status) ? 'Only a run that stopped or failed is resumed.' : '';
}

function set(element, reason) {
  if (reason) disable(element, reason);
  else enable(element);
}

function times(number) {
  return ['never', 'once', 'twice'][number] ?? `${format.count(number)} times`;
}

function dataName(run) {
  const task = run.config?.data?.task;
  if (run.data === 'external') return task || run.data; // in its author's words
  return task ? `${run.data}/${task}` : run.data;
}

function modelName(run) {
  return run.model === 'external' ? run.config?.model?.name : run.model;
}

/** Label, value, explanation; what matters most comes first. */
function figuresOf(history) {
  const { run } = history;
  const isOpen = OPEN.has(run.status);
  const share = run.num_steps ? run.step / run.num_steps : 0;
  const validation = history.evaluations.findLast((form) => form.part === 'validation');
  const test = history.evaluations.findLast((form) => form.part === 'test' && form.when === 'after');
  const shown = test ?? validation;
  const endS = run.ended_at ?? (isOpen ? history.now() : null);
  const spentS = run.started_at && endS ? endS - run.started_at : null;
  return [
    [`Step · ${format.percent(share, 0)}`, `${format.count(run.step)} / ${format.count(run.num_steps)}`, 'Optimizer steps done'],
    isOpen
      ? ['Time left', format.clock(run.status === 'running' ? history.etaS() : null), 'At the rate of the last steps, pauses for scores included']
      : ['Took', format.duration(spentS), 'From the first start to the end'],
    isOpen
      ? ['Ranks', phaseOf(history) || '–', 'What the scheduler does now, by its plan']
      : ['Ranks moved', times(history.moments.filter((moment) => moment.ranks?.moved > 0).length), `${format.params(history.movedParams)} in all`],
    ['Rate', format.rate(history.rate()), 'By the clock over the last steps, pauses included'],
    ['Train loss', format.number(history.metrics.loss.at(-1) ?? null), 'Of the last step, nats per answer token'],
    [
      test ? 'Test accuracy' : 'Validation accuracy',
      shown ? format.interval(shown.accuracy, shown.low, shown.high) : '–',
      shown ? `95 % Wilson interval over ${format.count(shown.num_items)} items, step ${shown.step}` : 'Not scored yet',
    ],
  ];
}
