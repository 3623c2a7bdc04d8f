/** New run: hears from the server what the form would give, shows it, and launches. */

import { button, disable, enable, h, problem, replace, session } from './ui.js';
import { chosen, focusField, labelOf, prepareFields, showProblems, write } from './new_fields.js';
import { dataPreview } from './new_data.js';
import { outlook } from './new_outlook.js';
import { samples } from './new_samples.js';
import { targets } from './new_targets.js';
import { uploads } from './new_upload.js';

const ANSWER_LIMIT_MS = 20000;
const PAGE_ID = Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(16)).join('');

const questions = {};
let view = null;
let last = null;

/**
 * Take over the right side of the page.
 * @param {HTMLElement} element
 */
export function start(element) {
  prepareFields();
  view = {
    outlook: outlook((yaml) => fill({ yaml })),
    samples: samples(document.getElementById('new-samples')),
    uploads: uploads(document.getElementById('new-upload')),
    data: dataPreview(document.getElementById('new-data')),
    targets: targets(document.getElementById('new-model'), document.getElementById('new-targets'), () => questions.preview({})),
    launch: launchBar(),
  };
  replace(element, h('div', { class: 'new-side' }, view.launch.element, view.outlook.element));
  for (const link of document.querySelectorAll('[data-preset]')) {
    link.addEventListener('click', () => fill({ preset: link.dataset.preset }));
  }
  session().then((person) => {
    for (const part of [view.launch, view.uploads, view.data, view.targets]) part.know(person);
  }).catch(() => {});
  window.addEventListener('pageshow', (event) => event.persisted && view.launch.ready());
  begin();
}

/**
 * A channel to the server is there; called by the page's invisible components.
 * @param {'preview'|'launched'} name What comes through it.
 * @param {(data: object|string) => void} ask Ask the question whose answer comes.
 * @param {(receive: (answer: object) => void) => void} listen
 */
export function connect(name, ask, listen) {
  questions[name] = ask;
  listen(name === 'preview' ? receivePreview : receiveLaunched);
  begin();
}

/** Messages make the page's header higher; the right side stays below it. */
function followHeader() {
  const header = document.querySelector('.topbar');
  if (!header) return;
  const measure = () =>
    document.documentElement.style.setProperty('--shell-height', `${header.offsetHeight}px`);
  new ResizeObserver(measure).observe(header);
}

function begin() {
  if (!view || !questions.preview || begin.isDone) return;
  begin.isDone = true;
  const wanted = new URLSearchParams(window.location.search);
  const source = ['clone', 'preset'].find((name) => wanted.has(name));
  view.targets.want();
  questions.preview(source ? { [source]: wanted.get(source) } : {});
}

function fill(source) {
  if (source.preset) {
    window.history.replaceState(null, '', `/new?preset=${encodeURIComponent(source.preset)}`);
  }
  view.targets.want();
  questions.preview(source);
}

function receivePreview(answer) {
  if (!answer || !view) return;
  if (!last) followHeader(); // it is drawn by now
  last = answer;
  showProblems(answer.problems);
  view.outlook.show(answer);
  view.launch.show(answer);
  showBudget(answer.budget);
  keepBudgetInStep(answer.budget);
  if (answer.chosen.data) view.samples.show(answer.chosen.data);
  view.uploads.show();
  view.data.show(answer.chosen.model, answer.chosen.data);
  view.targets.show(answer.targets, answer.chosen.model, answer.problems);
  if ('refusal' in answer) showRefusal(answer.refusal);
}

function receiveLaunched(answer) {
  if (!answer || !view) return;
  if (answer.runs.length) {
    const query = answer.runs.map((id) => `run=${encodeURIComponent(id)}`).join('&');
    window.location.assign(answer.runs.length === 1 ? `/run?${query}` : `/compare?${query}`);
    return;
  }
  if (Object.keys(answer.problems).length) showProblems(answer.problems);
  view.launch.refuse(answer.message);
}

function showRefusal(refusal) {
  const place = document.getElementById('new-notice');
  view.outlook.refuseYaml(refusal?.source === 'yaml' ? refusal.message : '');
  const isHere = refusal && refusal.source !== 'yaml';
  replace(place, isHere && problem('The form could not be filled', refusal.message));
}

function showBudget({ others }) {
  const written = {
    params: (text) => `${Number(text).toLocaleString('en-US')} parameters`,
    megabytes: (text) => `${Number(text).toLocaleString('en-US', { maximumSignificantDigits: 3 })} MB`,
    rank: (text) => `rank ${Number(text).toLocaleString('en-US', { maximumFractionDigits: 3 })} everywhere`,
  };
  const texts = Object.keys(written).filter((unit) => unit in others).map((unit) => written[unit](others[unit]));
  replace(
    document.getElementById('new-budget'),
    texts.flatMap((text, index) => [
      index > 0 && h('span', { class: 'muted', 'aria-hidden': 'true' }, '='),
      h('span', { class: 'num' }, text),
    ]),
  );
}

/** The units that are not chosen follow, so that a change of unit keeps the budget. */
function keepBudgetInStep({ unit, others }) {
  if (unit !== chosen('budget')) return; // an answer about how the form was
  for (const [other, text] of Object.entries(others)) write(`budget.${other}.value`, text);
}

function launchBar() {
  const launch = button('Launch', { kind: 'primary', icon: 'play', onClick: press });
  const words = h('span', { class: 'muted small' });
  const trouble = h('div', { class: 'new-trouble', 'aria-live': 'polite' });
  let person = null;
  let isLaunching = false;
  let timer = 0;

  function press() {
    isLaunching = true;
    update();
    replace(trouble);
    timer = window.setTimeout(
      () => refuse('The server did not answer. Launch again: the same form never starts twice.'),
      ANSWER_LIMIT_MS,
    );
    questions.launched(PAGE_ID);
  }

  function ready() {
    window.clearTimeout(timer);
    isLaunching = false;
    update();
  }

  function refuse(message) {
    ready();
    replace(trouble, problem('Not launched', message));
  }

  function update() {
    const wrong = Object.keys(last?.problems ?? {});
    const many = last?.seeds?.length ?? 1;
    launch.lastChild.textContent = isLaunching ? 'Launching …' : many > 1 ? `Launch ${many} runs` : 'Launch';
    launch.setAttribute('aria-busy', String(isLaunching));
    if (isLaunching) disable(launch, 'The runs are being added to the queue.');
    else if (person && !person.can_operate) {
      disable(launch, `Launching needs the role operator; ${person.name} is ${person.role}. Ask an administrator.`);
    } else if (!last) disable(launch, 'The form is being read.');
    else if (wrong.length) disable(launch, 'Mend the marked fields first.');
    else if (last.is_waiting) disable(launch, 'The model has to be read first.');
    else enable(launch);
    replace(words, said(wrong, many));
  }

  function said(wrong, many) {
    if (person && !person.can_operate) {
      return `Launching needs the role operator; you are ${person.role}. Ask an administrator.`;
    }
    if (last?.is_waiting) return 'The model has to be read first.';
    if (!wrong.length) {
      const seeds = last?.seeds ?? [];
      return many > 1 ? `Seeds ${seeds[0]} to ${seeds.at(-1)}, one run each` : seeds.length ? `Seed ${seeds[0]}` : '';
    }
    return [
      wrong.length === 1 ? 'To mend: ' : `${wrong.length} fields to mend: `,
      wrong.flatMap((key, index) => [
        index > 0 && ', ',
        h('button', { type: 'button', class: 'new-to-field', onclick: () => focusField(key) }, labelOf(key)),
      ]),
    ];
  }

  function show() {
    if (!isLaunching) replace(trouble);
    update();
  }

  update();
  return {
    element: h('div', { class: 'new-launch' }, h('div', { class: 'row' }, launch, words), trouble),
    show,
    refuse,
    ready,
    know: (who) => {
      person = who;
      update();
    },
  };
}
