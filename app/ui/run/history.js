/** What is known of a run: the page's JSON, brought forward by events. No drawing. */

/**
 * @typedef {object} Moment A step at which ranks changed or a planner decided.
 * @property {number} step
 * @property {number} id Of its last event.
 * @property {object|null} ranks The form of the change, if ranks changed.
 * @property {object|null} decided The form of the decision, if a planner decided.
 */

const MAX_LOG_LINES = 2000;
const RATE_POINTS = 40;
const STOP_S = 15; // a longer gap between two steps was no pause

/** One run's history; `apply` brings it forward. */
export class History {
  /** @param {object} page JSON of /api/runs/{id}/page. */
  constructor(page) {
    this.run = page.run;
    this.cursor = page.cursor;
    this.modules = page.modules;
    this.evaluations = page.evaluations;
    this.measurements = page.measurements;
    this.checkpoints = page.checkpoints;
    this.artifacts = page.artifacts;
    this.log = page.log;
    this.summary = page.summary;
    this.metrics = page.metrics;
    this.clockOffsetS = page.now - Date.now() / 1000;
    this.lastEventAt = lastOf(page.metrics.time) ?? page.run.started_at;
    this.liveParams = lastOf(page.rank_changes)?.live ?? null;
    this.movedParams = 0;
    this.moments = [];
    this.snapshots = [];
    const forms = [...page.rank_changes, ...page.decisions].sort((a, b) => a.id - b.id);
    for (const form of forms) this.addMoment(form);
    this.realise();
  }

  /** Server's now, seconds since the epoch. */
  now() {
    return Date.now() / 1000 + this.clockOffsetS;
  }

  /**
   * Take up one event.
   * @param {object} form
   * @returns {string} Its kind; "" for what is known already.
   */
  apply(form) {
    if (form.id <= this.cursor) return '';
    this.cursor = form.id;
    this.lastEventAt = Math.max(this.lastEventAt ?? 0, form.at);
    this.run.step = Math.max(this.run.step, form.step);
    if (form.k === 'step') this.addStep(form);
    else if (form.k === 'ranks' || form.k === 'decided') this.addMoment(form);
    else if (form.k === 'measured') this.measurements.push(form);
    else if (form.k === 'evaluated') this.evaluations.push(form);
    else if (form.k === 'checkpoint') this.checkpoints.push(form);
    else if (form.k === 'log') this.log = [...this.log, form].slice(-MAX_LOG_LINES);
    else if (form.k === 'status') Object.assign(this.run, { status: form.status, status_reason: form.reason });
    if (form.k === 'decided') this.realise();
    return form.k;
  }

  /**
   * Ranks of all modules after a moment.
   * @param {number} index
   * @returns {number[]|null} None before the first allocation.
   */
  ranksAt(index) {
    if (index < 0 || !this.moments.length) return null;
    for (let at = this.snapshots.length; at <= index; at += 1) {
      const before = at ? this.snapshots[at - 1] : null;
      const change = this.moments[at].ranks;
      this.snapshots.push(change ? applied(before ?? Array(this.modules.length).fill(0), change) : before);
    }
    return this.snapshots[index];
  }

  /** Modules whose rank a moment changed; none for the first allocation. */
  changedAt(index) {
    const now = this.ranksAt(index);
    const before = this.ranksAt(index - 1);
    if (!now || !before || now === before) return [];
    return now.flatMap((rank, module) => (rank === before[module] ? [] : [module]));
  }

  /** The last moment at or before a step; -1 if there is none. */
  momentAt(step) {
    return this.moments.findLastIndex((moment) => moment.step <= step);
  }

  /**
   * Optimizer steps per second of late, by the clock: pauses for scores count, a stop of the run
   * does not. Null if unknown.
   */
  rate() {
    const { step, time } = this.metrics;
    const first = Math.max(1, step.length - RATE_POINTS);
    let numSteps = 0;
    let spentS = 0;
    for (let at = first; at < step.length; at += 1) {
      const gapS = time[at] - time[at - 1];
      if (gapS > Math.max(STOP_S, 20 * this.metrics.step_s[at])) continue;
      numSteps += step[at] - step[at - 1];
      spentS += gapS;
    }
    return numSteps > 0 && spentS > 0 ? numSteps / spentS : null;
  }

  /** Seconds to go at the present rate; null if unknown. */
  etaS() {
    const rate = this.rate();
    return rate ? Math.max(0, this.run.num_steps - this.run.step) / rate : null;
  }

  /** The last checkpoint that a resume would go on from. */
  lastCheckpoint() {
    return this.checkpoints.at(-1) ?? null;
  }

  addStep(form) {
    const { metrics } = this;
    metrics.step.push(form.step);
    metrics.loss.push(form.loss);
    metrics.lr.push(form.lr);
    metrics.grad_norm.push(form.grad_norm);
    metrics.step_s.push(form.step_s);
    metrics.time.push(form.at);
  }

  /** A decision and the change it made are one moment. */
  addMoment(form) {
    const key = form.k === 'ranks' ? 'ranks' : 'decided';
    if (key === 'ranks') {
      this.liveParams = form.live;
      this.movedParams += form.step > 0 ? form.moved : 0;
    }
    const last = this.moments.at(-1);
    if (last && last.step === form.step && !last[key]) {
      Object.assign(last, { [key]: form, id: form.id });
      this.snapshots.length = Math.min(this.snapshots.length, this.moments.length - 1);
      return;
    }
    this.moments.push({ step: form.step, id: form.id, ranks: null, decided: null, [key]: form });
  }

  /** What a move brought is known from the next decision. */
  realise() {
    const decisions = this.moments.map((moment) => moment.decided).filter(Boolean);
    decisions.forEach((decided, index) => {
      if (decided.kind === 'apply') decided.realised ??= decisions[index + 1]?.realised_before ?? null;
    });
  }
}

function applied(ranks, change) {
  const next = [...ranks];
  change.modules.forEach((module, at) => {
    next[module] = change.ranks[at];
  });
  return next;
}

function lastOf(list) {
  return list?.at(-1) ?? null;
}
