/** Pictures of the chosen data set with their questions and answers. */

import { api, h, notice, replace, skeleton } from './ui.js';

const PAUSE_MS = 250;

/**
 * A strip of samples that follows the data set.
 * @param {HTMLElement} element
 * @returns {{show: (data: object) => void}}
 */
export function samples(element) {
  let shown = '';
  let timer = 0;
  replace(element, skeleton(196));

  function show(data) {
    const wanted = JSON.stringify(data);
    if (wanted === shown) return;
    shown = wanted;
    element.setAttribute('aria-busy', 'true');
    window.clearTimeout(timer);
    timer = window.setTimeout(() => load(wanted), PAUSE_MS);
  }

  async function load(wanted) {
    try {
      const answer = await api(`/api/samples?data=${encodeURIComponent(wanted)}`);
      if (wanted === shown) replace(element, strip(answer.samples));
    } catch (error) {
      if (wanted === shown) replace(element, notice('No samples can be shown', error.message));
    }
    if (wanted === shown) element.removeAttribute('aria-busy');
  }

  return { show };
}

function strip(items) {
  return h(
    'ul',
    { class: 'new-samples', 'aria-label': 'Samples of the data set' },
    items.map((item, index) =>
      h(
        'li',
        { title: item.skill },
        item.image
          ? h('img', { src: item.image, alt: `Sample picture ${index + 1} of ${items.length}` })
          : h('span', { class: 'no-picture' }, 'no picture'),
        h('span', { class: 'question', title: item.question }, item.question),
        h('strong', { title: item.answer }, item.answer),
      ),
    ),
  );
}
