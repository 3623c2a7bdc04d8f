/** What the run would get: budget, first ranks, memory, time; and the same as command and YAML. */

import { costRows, costWarnings } from './new_cost.js';
import { draw } from './plots.js';
import { button, copyButton, format, h, problem, replace, skeleton } from './ui.js';

const MAX_YAML_BYTES = 65536;
const STALE = 'As of the last values that were right.';
const WAITING = 'Shown once the model has been read.';

/**
 * The panel.
 * @param {(text: string) => void} loadYaml Fill the form from YAML.
 * @returns {{element: HTMLElement, show: (answer: object) => void, refuseYaml: (message: string) => void}}
 */
export function outlook(loadYaml) {
  const facts = h('dl', { class: 'facts' }, skeleton(168));
  const warnings = h('div', { class: 'new-warnings' });
  const map = h('div', { class: 'new-map' }, skeleton(240));
  const note = h('p', { class: 'muted small' });
  const stale = h('p', { class: 'new-stale', hidden: true }, STALE);
  const texts = textPanel();
  const loader = yamlLoader(loadYaml);
  let drawn = '';

  function show(answer) {
    element.classList.toggle('is-stale', !answer.plan);
    stale.hidden = Boolean(answer.plan);
    stale.textContent = answer.is_waiting ? WAITING : STALE;
    if (!answer.plan) return;
    replace(warnings, ...costWarnings(answer.cost));
    replace(facts, factsOf(answer));
    texts.show(answer);
    note.textContent = noteOf(answer.plan);
    map.hidden = !answer.plan.has_adapters;
    const figure = JSON.stringify(answer.plan.figure);
    if (figure === drawn || !answer.plan.has_adapters) return;
    drawn = figure;
    draw(map, answer.plan.figure, { heading: 'h3' });
  }

  const element = h(
    'div',
    { class: 'new-scroll' },
    h('section', { class: 'card' }, h('h2', null, 'What you will get'), stale, warnings, facts, map, note),
    h('section', { class: 'card' }, texts.element, loader.element),
  );
  return { element, show, refuseYaml: loader.refuse };
}

function factsOf({ plan, cost }) {
  const rows = [
    ['Budget', `${format.params(plan.budget_params)}, ${format.bytes(plan.budget_bytes)}`],
    ['Equal to', `rank ${format.number(plan.equivalent_rank, 4)} on every module`],
    plan.has_adapters && [
      'At the start',
      `${format.params(plan.params)} on ${plan.num_adapted} of ${plan.num_modules} modules`,
    ],
    ['Ranks decided', decidedAt(plan)],
    ...costRows(cost),
  ];
  return rows.filter(Boolean).flatMap(([name, value, basis]) => [
    h('dt', null, name),
    h('dd', null, value, basis && h('span', { class: 'muted small basis' }, basis)),
  ]);
}

function decidedAt(plan) {
  const steps = plan.ranks_decided_at_steps;
  if (!plan.has_adapters) return 'never: the base weights are trained';
  if (!steps.length) return 'by the method itself';
  if (steps.length === 1) return steps[0] === 0 ? 'before the first step' : `at step ${format.count(steps[0])}`;
  const first = steps.slice(0, 3).map(format.count).join(', ');
  return steps.length > 4
    ? `${steps.length} times: steps ${first} … ${format.count(steps.at(-1))} of ${format.count(plan.num_steps)}`
    : `at steps ${steps.map(format.count).join(', ')}`;
}

function noteOf(plan) {
  if (!plan.note) return plan.has_adapters ? 'These ranks stay to the end.' : '';
  return `${plan.note[0].toUpperCase()}${plan.note.slice(1)}.`;
}

function textPanel() {
  const shown = { command: '', yaml: '' };
  let which = 'command';
  const text = h('pre', { class: 'new-text', tabindex: '0', role: 'region' });
  const tabs = Object.entries({ command: 'Command', yaml: 'YAML' }).map(([name, title]) =>
    h('button', { type: 'button', class: 'button', dataset: { name }, onclick: () => choose(name) }, title),
  );

  function choose(name) {
    which = name;
    for (const tab of tabs) tab.setAttribute('aria-pressed', String(tab.dataset.name === which));
    text.setAttribute('aria-label', which === 'yaml' ? 'The configuration as YAML' : 'The equal command');
    text.textContent = shown[which];
  }

  choose(which);
  const save = button('Save', { icon: 'export', onClick: () => download(shown.yaml) });
  save.title = 'Save the YAML as a file';
  return {
    element: h(
      'div',
      { class: 'new-texts' },
      h(
        'div',
        { class: 'toolbar' },
        h('div', { class: 'button-group', role: 'group', 'aria-label': 'The same as' }, tabs),
        h('div', { class: 'row' }, save, copyButton(() => shown[which])),
      ),
      text,
    ),
    show: ({ command, yaml }) => {
      Object.assign(shown, { command, yaml });
      text.textContent = shown[which];
    },
  };
}

function yamlLoader(loadYaml) {
  const trouble = h('div', { 'aria-live': 'polite' });
  const text = h('textarea', {
    id: 'new-yaml', class: 'input mono', rows: 7, spellcheck: 'false', maxlength: MAX_YAML_BYTES,
    placeholder: 'data: {kind: scenes}\nbudget: {unit: rank, value: 1}',
  });
  const file = h('input', { type: 'file', accept: '.yaml,.yml,text/yaml', 'aria-label': 'YAML file', onchange: read });

  async function read() {
    const chosen = file.files[0];
    file.value = '';
    if (!chosen) return;
    if (chosen.size > MAX_YAML_BYTES) {
      refuse(`The file must not exceed ${format.bytes(MAX_YAML_BYTES)}, ${chosen.name} has ${format.bytes(chosen.size)}; shorten it.`);
      return;
    }
    text.value = await chosen.text();
    load();
  }

  function load() {
    refuse('');
    loadYaml(text.value);
  }

  function refuse(message) {
    replace(trouble, message && problem('The form was not filled', message));
    if (message) details.open = true;
  }

  const details = h(
    'details',
    { class: 'new-loader' },
    h('summary', null, 'Load YAML'),
    h('label', { for: 'new-yaml', class: 'muted small' }, 'Paste a configuration or choose a file; it replaces what stands in the form.'),
    text,
    trouble,
    h('div', { class: 'row' }, button('Fill the form', { onClick: load }), file),
  );
  return { element: details, refuse };
}

function download(yaml) {
  const link = h('a', { href: URL.createObjectURL(new Blob([yaml], { type: 'text/yaml' })), download: 'run.yaml' });
  link.click();
  URL.revokeObjectURL(link.href);
}
