/** Curves of the run: loss (train, probe) and accuracy (validation, references). */

import { format, h, replace, skeleton } from '../ui.js';
import { draw, onPointClick, setAxis, setMark, setPoints } from '../plots.js';
import { thin } from '../curves.js';

const MAX_POINTS = 2000;
const REDRAW_MS = 250;
const PAUSES = 4; // drawing takes a fifth of the time at most

/** Both plots; they redraw at most four times a second, and only what changed. */
export class Training {
  /** @param {(step: number) => void} onStep A person clicked a step. */
  constructor(onStep) {
    this.onStep = onStep;
    this.loss = h('div', { class: 'run-curve' }, skeleton(276));
    this.accuracy = h('div', { class: 'run-curve' }, skeleton(276));
    this.scale = h('button', { type: 'button', class: 'button run-corner', 'aria-pressed': 'false', onclick: () => this.switchScale() }, 'Log scale');
    this.skills = h('select', { class: 'input', 'aria-label': 'Skill', onchange: () => this.redraw() });
    this.skillPlace = h('div', { class: 'run-corner', hidden: true }, this.skills);
    this.lossCard = h('section', { class: 'card run-curve-card', 'aria-label': 'Loss' }, this.scale, this.loss);
    this.accuracyCard = h('section', { class: 'card run-curve-card', 'aria-label': 'Accuracy' }, this.skillPlace, this.accuracy);
    this.isDrawn = false;
    this.timer = 0;
    this.lastMs = 0;
  }

  /** @param {{loss: object, accuracy: object}} figures Made by Python. */
  async start(figures) {
    await Promise.all([draw(this.loss, figures.loss), draw(this.accuracy, figures.accuracy)]);
    this.isDrawn = true;
    for (const place of [this.loss, this.accuracy]) onPointClick(place, ({ x }) => this.onStep(x));
    if (this.history) this.redraw();
  }

  /**
   * @param {import('./history.js').History} history
   * @param {boolean} [atOnce]
   */
  update(history, atOnce = false) {
    this.history = history;
    this.showSkills(history);
    if (atOnce) this.redraw();
    // a timer, not requestAnimationFrame, which stops in hidden tabs; a slow machine draws less often
    else this.timer ||= window.setTimeout(() => this.redraw(), Math.max(REDRAW_MS, PAUSES * this.lastMs));
  }

  /** Losses span decades: a logarithmic axis shows the late differences. */
  switchScale() {
    const isLog = this.scale.getAttribute('aria-pressed') !== 'true';
    this.scale.setAttribute('aria-pressed', String(isLog));
    setAxis(this.loss, 'yaxis', { type: isLog ? 'log' : 'linear' });
  }

  /** Draw the upright line of a chosen moment; null takes it away. */
  mark(step) {
    if (!this.isDrawn) return;
    setMark(this.loss, step);
    setMark(this.accuracy, step);
  }

  redraw() {
    window.clearTimeout(this.timer);
    this.timer = 0;
    if (!this.isDrawn || !this.history) return;
    const begin = performance.now();
    this.redrawLoss();
    this.redrawAccuracy();
    this.lastMs = performance.now() - begin;
  }

  redrawLoss() {
    const { metrics, measurements, moments, run } = this.history;
    const text = [run.num_steps, metrics.step.length, metrics.step.at(-1), measurements.length, moments.length].join();
    if (text === this.shownLoss) return;
    this.shownLoss = text;
    setPoints(this.loss, {
      step: thin(metrics.step, metrics.loss, MAX_POINTS),
      train: smooth(metrics.step, metrics.loss, run.num_steps),
      probe: probeOf(measurements),
      'ranks moved': eventsOf(moments),
    });
  }

  redrawAccuracy() {
    const { evaluations, moments, run } = this.history;
    const text = [run.num_steps, evaluations.at(-1)?.id, evaluations.length, moments.length, this.skills.value].join();
    if (text === this.shownAccuracy) return;
    this.shownAccuracy = text;
    setPoints(this.accuracy, { ...accuracyOf(this.history, this.skills.value), 'ranks moved': eventsOf(moments) });
  }

  showSkills(history) {
    const known = new Set(history.evaluations.flatMap((form) => Object.keys(form.accuracy_by_skill)));
    if (known.size < 2 || known.size + 1 === this.skills.length) return;
    const chosen = this.skills.value;
    replace(this.skills, h('option', { value: '' }, 'all skills'), [...known].sort().map((skill) => h('option', { value: skill }, skill)));
    this.skills.value = chosen;
    this.skillPlace.hidden = false;
  }
}

/**
 * Exponential mean over steps, with a time constant of 1 % of the run.
 * @returns {{x: number[], y: number[]}}
 */
function smooth(steps, values, numSteps) {
  const constant = Math.max(1, 0.01 * numSteps);
  const x = [];
  const y = [];
  let mean = null;
  steps.forEach((step, at) => {
    const value = values[at];
    if (value === null) return;
    const weight = mean === null ? 1 : 1 - Math.exp(-Math.max(0.5, step - x.at(-1)) / constant);
    mean = mean === null ? value : mean + weight * (value - mean);
    x.push(step);
    y.push(mean);
  });
  return thin(x, y, MAX_POINTS);
}

function eventsOf(moments) {
  const x = moments.filter((moment) => moment.ranks && moment.step > 0).map((moment) => moment.step);
  return { x, y: x.map(() => 0) };
}

function probeOf(measurements) {
  const known = measurements.filter((form) => form.probe_loss !== null);
  return {
    x: known.map((form) => form.step),
    y: known.map((form) => form.probe_loss),
    error_y: { type: 'data', array: known.map((form) => 1.96 * (form.probe_loss_se ?? 0)), thickness: 1, width: 3 },
  };
}

function accuracyOf({ evaluations, run }, skill) {
  const value = (form) => (skill ? form.accuracy_by_skill[skill] ?? null : form.accuracy);
  const during = evaluations.filter((form) => form.part === 'validation' && value(form) !== null);
  const after = evaluations.filter((form) => form.part === 'test' && form.when === 'after');
  const steps = during.map((form) => form.step);
  const band = skill ? [] : during.filter((form) => form.low !== null);
  const points = {
    validation: { x: steps, y: during.map(value), customdata: during.map((form) => said(form, skill)) },
    '95 % interval': {
      x: [...band.map((form) => form.step), ...band.map((form) => form.step).reverse()],
      y: [...band.map((form) => form.high), ...band.map((form) => form.low).reverse()],
    },
    test: { x: after.map((form) => form.step), y: after.map(value), customdata: after.map((form) => said(form, skill)) },
  };
  for (const [name, when] of [['before (test)', 'before'], ['question only (test)', 'question_only']]) {
    const form = evaluations.findLast((item) => item.part === 'test' && item.when === when);
    const level = form ? value(form) : null;
    points[name] = level === null ? { x: [], y: [] } : { x: [0, run.num_steps], y: [level, level] };
  }
  return points;
}

function said(form, skill) {
  if (skill) return `${skill}, of ${format.count(form.num_items)} items of all skills`;
  return `95 % [${(100 * form.low).toFixed(1)}, ${(100 * form.high).toFixed(1)}], ${format.count(form.num_items)} items`;
}
