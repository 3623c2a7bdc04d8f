/** The form that starts an evaluation: which model, which benchmark, where its files are. */

import { api, button, copyButton, disable, h, problem, replace } from '../ui.js';

const PRECISIONS = ['bf16', 'fp32', 'fp16', 'nf4', 'int8'];
const ENDED = ['done', 'stopped', 'failed'];

/** A card with fields; what it asks for is also shown as a command. */
export class EvaluationForm {
  /** @param {{run: string|null, canOperate: boolean, onStarted: (id: string) => void}} options */
  constructor({ run, canOperate, onStarted }) {
    this.onStarted = onStarted;
    this.run = run;
    this.choices = { suites: [], models: [], data_root: '' };
    this.runs = [];
    this.input = {
      what: select('what', [['run', 'A run'], ['adapter', 'An adapter'], ['model', 'A base model']], 'run'),
      run: select('run', [], ''),
      adapter: text('adapter', 'my-adapter'),
      kind: select('kind', [], ''),
      source: text('source', 'owner/name or folder'),
      precision: select('precision', PRECISIONS.map((one) => [one, one]), 'bf16'),
      suite: select('suite', [], ''),
      ocr: select('ocr', [['shown', 'shown, as in LLaVA'], ['hidden', 'hidden']], 'shown'),
      folder: text('folder', 'pope'),
      batch: h('input', { id: 'evaluation-batch', type: 'number', min: 1, max: 1024, value: 8 }),
    };
    this.fields = h('div', { class: 'benchmarks-fields' });
    this.answer = h('div', { 'aria-live': 'polite' });
    this.command = h('code', { class: 'command' });
    this.startButton = button('Evaluate', { icon: 'play', kind: 'primary', onClick: () => this.start() });
    if (!canOperate) disable(this.startButton, 'Your role is viewer; an operator may start evaluations.');
    this.element = h('section', { class: 'card benchmarks-form', 'aria-labelledby': 'evaluate-title' },
      h('h2', { id: 'evaluate-title' }, 'Evaluate'), this.fields, this.answer,
      h('div', { class: 'row' }, this.startButton),
      h('div', { class: 'benchmarks-command' }, h('span', { class: 'label' }, 'As a command'), this.command, copyButton(() => this.command.textContent)));
    this.element.addEventListener('input', () => this.draw());
  }

  async load() {
    try {
      const query = ENDED.map((status) => `status=${status}`).join('&');
      const [choices, runs] = await Promise.all([api('/api/evaluations/choices'), api(`/api/runs?${query}&limit=200`)]);
      this.choices = choices;
      this.runs = runs.runs.filter((run) => run.scheduler !== 'external');
    } catch (error) {
      replace(this.answer, problem('What can be evaluated is not known', error.message));
    }
    fill(this.input.suite, this.choices.suites.map((suite) => [suite.kind, suite.title]), 'pope');
    fill(this.input.kind, this.choices.models.map((model) => [model.kind, model.title]), 'hub');
    fill(this.input.run, this.runs.map((run) => [run.id, `${run.name || run.scheduler}, seed ${run.seed} (${run.id})`]), this.run ?? this.runs[0]?.id ?? '');
    if (this.runs.length === 0) this.input.what.value = 'model';
    this.draw();
  }

  draw() {
    const { input } = this;
    const what = input.what.value;
    const suite = this.choices.suites.find((one) => one.kind === input.suite.value);
    const names = suite ? Object.values(suite.files).map((one) => one.join(' or ')) : [];
    const isOther = what !== 'run';
    const focused = document.activeElement;
    replace(this.fields,
      field('What', input.what),
      what === 'run' && field('Run', input.run, this.runs.length ? 'Its last checkpoint.' : 'No run has ended yet.'),
      what === 'adapter' && field('Folder of the adapter', input.adapter, 'Under the models root, with adapter_config.json.'),
      isOther && field(what === 'adapter' ? 'Its base model' : 'Model', input.kind),
      isOther && hasSource(input.kind.value) && field('Source', input.source, 'On the hub, or a folder under the models root.'),
      isOther && input.kind.value === 'hub' && field('Precision', input.precision),
      field('Benchmark', input.suite),
      input.suite.value === 'text_vqa' && field('OCR tokens', input.ocr, 'In the prompt; scores with and without are not comparable.'),
      field('Folder of its files', input.folder, [`Below ${this.choices.data_root || 'the data root'}, with `, list(names), '.']),
      field('Items at once', input.batch, 'Halved by itself where memory is short.'));
    if (focused !== document.activeElement && focused?.isConnected) focused.focus();
    this.command.textContent = commandOf(this.wish());
  }

  /** What is asked for, as the API takes it. */
  wish() {
    const { input } = this;
    const subject = {
      run: { run: input.run.value },
      adapter: { adapter: input.adapter.value.trim(), model: this.model() },
      model: { model: this.model() },
    }[input.what.value];
    const files = input.suite.value === 'text_vqa' ? { ocr_tokens: input.ocr.value } : {};
    return { ...subject, suite: input.suite.value, folder: input.folder.value.trim() || '.', files, batch_size: Number(input.batch.value) || 8 };
  }

  model() {
    const { kind, source, precision } = this.input;
    const value = source.value.trim();
    if (kind.value === 'hub') return { kind: 'hub', source: value, precision: precision.value };
    return kind.value === 'mobilevlm' ? { kind: 'mobilevlm', folder: value } : { kind: kind.value };
  }

  async start() {
    disable(this.startButton, 'The files are being read.');
    replace(this.answer);
    try {
      const { evaluation } = await api('/api/evaluations', { method: 'POST', body: this.wish() });
      this.onStarted(evaluation);
    } catch (error) {
      replace(this.answer, problem('It was not started', error.message));
    }
    this.startButton.removeAttribute('aria-disabled');
    this.startButton.removeAttribute('data-tip');
  }
}

function hasSource(kind) {
  return kind === 'hub' || kind === 'mobilevlm';
}

function commandOf(wish) {
  const of = wish.run ?? wish.adapter ?? 'MODEL.yaml';
  const base = wish.adapter !== undefined ? ' --model MODEL.yaml' : '';
  const settings = Object.entries(wish.files).map(([key, value]) => ` --set ${key}=${value}`).join('');
  return `rankscope eval ${quoted(of)}${base} --suite ${wish.suite} --files ${quoted(wish.folder)}${settings} --batch-size ${wish.batch_size}`;
}

function quoted(word) {
  return /^[\w./@-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function list(names) {
  return names.map((name, at) => [at > 0 && ', ', h('code', null, name)]);
}

function field(label, control, hint) {
  return h('div', { class: 'field' }, h('label', { for: control.id }, label), control, hint && h('span', { class: 'hint' }, hint));
}

function text(name, placeholder) {
  return h('input', { id: `evaluation-${name}`, type: 'text', placeholder, autocomplete: 'off', spellcheck: 'false' });
}

function select(name, options, value) {
  const element = h('select', { id: `evaluation-${name}` });
  fill(element, options, value);
  return element;
}

function fill(element, options, value) {
  replace(element, options.map(([key, label]) => h('option', { value: key }, label)));
  if (options.some(([key]) => key === value)) element.value = value;
}
