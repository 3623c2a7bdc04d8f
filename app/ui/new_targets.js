/** What the pattern of targets matches, part by part; and how far reading the model's files is. */

import { api, button, format, h, icon, notice, problem, replace } from './ui.js';

const PARTS = { vision: 'Vision tower', projector: 'Projector', language: 'Language model' };
const WAYS = { frozen: 'frozen', lora: 'LoRA', full: 'trained in full' };
const LOOK_AGAIN_MS = 1200;

/**
 * Two places that follow the model and the pattern.
 * @param {HTMLElement} modelPlace Below the model's fields: reading, or why it cannot be read.
 * @param {HTMLElement} targetsPlace Below the pattern: what it matches.
 * @param {() => void} look Look at the form as it is: what was read may have changed it.
 * @returns {{show: (targets: object, model: object|null, problems: object) => void, want: () => void, know: (person: object) => void}}
 */
export function targets(modelPlace, targetsPlace, look) {
  let isWanted = false; // the model is named in full, though perhaps its answer has not come
  let last = { state: 'unnamed' };
  let model = null; // settings that ``last`` is about
  let readingOf = '';
  let isToldBesideField = false;
  let person = null;

  for (const field of document.querySelectorAll('[id^="field-model"]')) {
    // Nothing is read while somebody types: half an id is another model's.
    field.addEventListener('input', () => { isWanted = false; });
    field.addEventListener('focusout', want);
    field.addEventListener('keydown', (event) => event.key === 'Enter' && want());
  }

  function want() {
    isWanted = true;
    if (last.state === 'unread') read();
  }

  async function read(again = false) {
    isWanted = false;
    if (!person?.can_operate || readingOf === JSON.stringify(model)) return;
    const asked = model;
    readingOf = JSON.stringify(asked);
    try {
      let found = await api('/api/models/lists', { method: 'POST', body: { model: asked, again } });
      while (found.state === 'reading' && readingOf === JSON.stringify(model)) {
        draw(found);
        await new Promise((resolve) => { window.setTimeout(resolve, LOOK_AGAIN_MS); });
        found = await api('/api/models/lists', { method: 'POST', body: { model: asked } });
      }
    } catch (error) {
      replace(modelPlace, problem('The model could not be read', error.message, button('Try again', { onClick: () => read() })));
      return;
    } finally {
      readingOf = '';
    }
    look();
  }

  function show(shown, about, problems) {
    [last, model] = [shown, about];
    isToldBesideField = Object.keys(problems).some((key) => key.startsWith('model.'));
    if (readingOf !== JSON.stringify(model)) draw(shown);
    if ((shown.state === 'unread' && isWanted) || shown.state === 'reading') read();
  }

  function draw(shown) {
    modelPlace.setAttribute('aria-busy', String(shown.state === 'reading'));
    replace(modelPlace, stateOf(shown));
    replace(targetsPlace, shown.state === 'known' ? table(shown) : waiting(shown.state));
  }

  function stateOf(shown) {
    const mayNot = person && !person.can_operate;
    switch (shown.state) {
      case 'unread':
        return notice(
          'This model has not been read yet',
          mayNot
            ? 'Reading its files needs the role operator; ask an administrator.'
            : 'Its configuration tells what it is made of; weights are not downloaded.',
          mayNot ? '' : button('Read it', { onClick: () => read() }),
          'calm',
        );
      case 'reading':
        return h('p', { class: 'new-reading', role: 'status' }, icon('running', 'spin'),
          `Reading what the model is made of, ${format.duration(shown.elapsed_s)} so far. Weights are not downloaded.`);
      case 'refused':
        return problem('This model cannot be read', isToldBesideField ? 'Why is told beside its field.' : shown.message, button('Try again', { onClick: () => read(true) }));
      default:
        return null;
    }
  }

  return {
    show,
    want,
    know: (who) => {
      person = who;
      show(last, model, {});
    },
  };
}

function waiting(state) {
  const words = {
    unnamed: 'Name a model to see its modules.',
    unread: 'The modules are shown once the model has been read.',
    reading: 'The modules are shown once the model has been read.',
    refused: 'No modules can be shown: the model cannot be read.',
  };
  return h('p', { class: 'muted small' }, words[state]);
}

function table(shown) {
  const total = `${format.count(shown.num_matched)} of ${format.count(shown.num_modules)} linear modules get adapters: `
    + `${format.params(shown.params_per_rank)} per rank`;
  return [
    h('p', { class: 'new-targets-total', role: 'status' }, total),
    h('div', { class: 'new-targets-scroll', tabindex: '0', role: 'region', 'aria-label': 'Modules of the model' },
      h('table', { class: 'table table-dense new-targets' },
        h('thead', null, h('tr', null,
          h('th', { scope: 'col' }, 'Module'),
          h('th', { scope: 'col' }, 'Layers'),
          h('th', { scope: 'col', class: 'num' }, 'Count'),
          h('th', { scope: 'col', class: 'num' }, 'In → out'),
          h('th', { scope: 'col', class: 'num' }, 'Parameters per rank'))),
        inOrder(shown.parts).map((part) => body(part, shown.groups.filter((group) => group.part === part.part))))),
  ];
}

/** What is trained comes first. */
function inOrder(parts) {
  const order = ['lora', 'full', 'frozen'];
  return parts.toSorted((a, b) => order.indexOf(a.way) - order.indexOf(b.way));
}

function body(part, groups) {
  const full = part.way === 'full' ? `, ${format.params(part.params)} trained` : '';
  return h('tbody', null,
    h('tr', { class: 'new-targets-part' }, h('th', { scope: 'rowgroup', colspan: '5' },
      PARTS[part.part], h('span', { class: 'muted' }, ` ${format.params(part.params)}, ${WAYS[part.way]}${full}`))),
    groups.map((group) => h('tr', { class: group.is_matched ? 'is-matched' : 'is-left' },
      h('td', null, icon(group.is_matched ? 'check' : 'dot'),
        h('span', { class: 'visually-hidden' }, group.is_matched ? 'adapted: ' : 'left out: '),
        h('b', null, group.type), h('code', { class: 'muted' }, path(group))),
      h('td', null, group.layers || '–'),
      h('td', { class: 'num' }, format.count(group.num_modules)),
      h('td', { class: 'num' }, `${format.count(group.d_in)} → ${format.count(group.d_out)}`),
      h('td', { class: 'num' }, group.is_matched ? format.count(group.params_per_rank) : '–'))));
}

/** The path may break at its dots. */
function path({ path: whole }) {
  return whole.split('.').flatMap((step, index) => (index ? ['.', h('wbr'), step] : [step]));
}
