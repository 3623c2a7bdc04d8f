/** What the chosen model would see of the chosen data: tokens, mask, lengths, broken rows. */

import { api, button, format, h, icon, problem, replace } from './ui.js';

const LOOK_AGAIN_MS = 1200;
const FEW_BROKEN = 8;

/**
 * A panel that looks when it is asked to, because a process has to.
 * @param {HTMLElement} element
 * @returns {{show: (model: object|null, data: object|null) => void, know: (person: object) => void}}
 */
export function dataPreview(element) {
  let wanted = null;
  let shown = '';
  let isLooking = false;
  let person = null;
  const look = button('Check the data', { icon: 'search', onClick: () => ask(shown === JSON.stringify(wanted)) });
  const words = h('span', { class: 'muted small' });
  const place = h('div', { class: 'data-preview', 'aria-live': 'polite' });
  replace(element, h('div', { class: 'row data-preview-head' }, look, words), place);
  update();

  async function ask(again) {
    const asked = JSON.stringify(wanted);
    isLooking = true;
    update();
    try {
      const found = await answer(asked, again);
      if (asked !== JSON.stringify(wanted)) return;
      shown = asked;
      replace(place, found.state === 'ready' ? panels(found.preview) : problem('The data cannot be read', found.message));
    } catch (error) {
      replace(place, problem('The data could not be checked', error.message));
    } finally {
      isLooking = false;
      update();
    }
  }

  async function answer(asked, again) {
    for (let isFirst = true; ; isFirst = false) {
      const found = await api('/api/data/preview', { method: 'POST', body: { ...JSON.parse(asked), again: again && isFirst } });
      if (found.state !== 'reading' || asked !== JSON.stringify(wanted)) return found;
      replace(words, icon('running', 'spin'), ` Reading rows and counting tokens, ${format.duration(found.elapsed_s)} so far`);
      await new Promise((resolve) => { window.setTimeout(resolve, LOOK_AGAIN_MS); });
    }
  }

  function update() {
    const asked = wanted && JSON.stringify(wanted);
    const isOld = Boolean(shown) && shown !== asked;
    look.toggleAttribute('disabled', isLooking || !wanted || (person && !person.can_operate));
    look.lastChild.textContent = shown && !isOld ? 'Check again' : 'Check the data';
    place.classList.toggle('is-stale', isOld);
    element.setAttribute('aria-busy', String(isLooking));
    if (isLooking) return;
    words.textContent = whatItDoes(isOld);
  }

  function whatItDoes(isOld) {
    if (person && !person.can_operate) return 'Checking data needs the role operator.';
    if (!wanted) return 'Mend the fields of model and data first.';
    if (isOld) return 'Below: as of other settings.';
    return shown ? '' : 'Shows rows in the model’s tokens, what is masked from the loss, lengths and broken rows.';
  }

  return {
    show: (model, data) => {
      wanted = model && data ? { model, data } : null;
      if (!isLooking) update();
    },
    know: (who) => {
      person = who;
      update();
    },
  };
}

function panels(preview) {
  return [
    preview.report && report(preview.report),
    preview.lengths ? lengths(preview.lengths) : problem('No tokens can be shown', preview.tokens_problem),
    h('h3', null, 'First rows'),
    preview.lengths && legend(),
    h('ol', { class: 'data-rows' }, preview.rows.map(row)),
  ];
}

function report(found) {
  const parts = Object.entries(found.rows_by_part).map(([name, number]) => `${name} ${format.count(number)}`);
  const facts = [
    ['Rows', `${found.is_whole ? '' : 'the first '}${format.count(found.num_rows)} read, ${format.count(found.num_good)} good, ${format.count(found.num_broken)} broken`],
    ['Format', found.format],
    ['Parts', parts.join(', ') || 'none'],
    ['Pictures', `${format.count(found.num_pictures)}, ${format.count(found.num_different_pictures)} different; ${format.count(found.num_text_only)} rows of text alone`],
    found.picture_width_px && ['Picture size', `${spread(found.picture_width_px)} px wide, ${spread(found.picture_height_px)} px high`],
  ].filter(Boolean);
  return [
    h('dl', { class: 'facts small' }, facts.flatMap(([name, value]) => [h('dt', null, name), h('dd', null, value)])),
    found.num_broken > 0 && broken(found),
  ];
}

function broken(found) {
  const rules = Object.entries(found.broken_by_rule);
  return h('section', { class: 'data-broken', 'aria-label': 'Broken rows' },
    h('h3', null, icon('warning'), ` ${format.count(found.num_broken)} broken ${found.num_broken === 1 ? 'row' : 'rows'}`),
    h('ul', null, rules.map(([rule, number]) => h('li', null, `${format.count(number)} × ${rule}`))),
    h('details', { open: found.first_broken.length <= FEW_BROKEN },
      h('summary', null, `The first ${format.count(found.first_broken.length)}, and what mends them`),
      h('ul', { class: 'small' }, found.first_broken.map((one) => h('li', null,
        h('b', null, `${one.file} row ${format.count(one.row)}`), `: got ${one.value}; ${one.remedy}`)))));
}

function lengths(found) {
  const limit = found.limit_tokens;
  return h('section', { class: 'data-lengths', 'aria-label': 'Lengths of rows' },
    h('h3', null, `Tokens a row, pictures included, of ${format.count(found.num_rows)} rows`),
    found.histogram && bars(found.histogram),
    h('p', { class: 'small' }, [
      found.tokens && `Tokens ${spread(found.tokens)}; scored ${spread(found.scored)}. `,
      limit && `${format.count(found.num_at_limit)} rows reach the limit of ${format.count(limit)} tokens, where text is cut off.`,
    ]),
    found.num_refused > 0 && problem(`The model cannot take ${format.count(found.num_refused)} of these rows`, `First: ${found.first_refusal}`));
}

function bars({ edges, counts }) {
  const most = Math.max(...counts);
  const label = (index) => `${format.count(edges[index])}–${format.count(edges[index + 1] - 1)}`;
  return h('figure', { class: 'data-bars' },
    h('div', { class: 'data-bars-area', 'aria-hidden': 'true' }, counts.map((number, index) => h('span', {
      title: `${label(index)} tokens: ${format.count(number)} rows`,
      style: { height: `${number ? Math.max(2, (100 * number) / most) : 0}%` },
    }))),
    h('div', { class: 'data-bars-axis muted small num', 'aria-hidden': 'true' },
      h('span', null, format.count(edges[0])), h('span', null, 'tokens a row'), h('span', null, format.count(edges.at(-1) - 1))),
    h('details', { class: 'small' }, h('summary', null, 'Table'),
      h('table', { class: 'table table-dense' },
        h('thead', null, h('tr', null, h('th', { scope: 'col' }, 'Tokens'), h('th', { scope: 'col', class: 'num' }, 'Rows'))),
        h('tbody', null, counts.map((number, index) => number > 0 && h('tr', null,
          h('td', null, label(index)), h('td', { class: 'num' }, format.count(number))))))));
}

function legend() {
  return h('p', { class: 'data-legend small' },
    h('mark', { class: 'is-scored' }, 'underlined'), ' counts towards the loss; ',
    h('span', { class: 'is-masked' }, 'plain grey'), ' is masked; ',
    h('span', { class: 'is-repeated' }, 'token × n'), ' stands for n equal tokens, such as a picture’s');
}

function row(one) {
  const place = one.file ? `${one.file} row ${format.count(one.row)}` : `Row ${format.count(one.row)}`;
  const told = one.num_tokens ? `${format.count(one.num_tokens)} tokens, ${format.count(one.num_scored)} of them count towards the loss` : '';
  return h('li', null,
    h('div', { class: 'data-row-pictures' }, one.pictures.map((source, index) => h('img', { src: source, alt: `Picture ${index + 1} of ${place}` }))),
    h('div', { class: 'data-row-text' },
      h('p', { class: 'small' }, h('b', null, place), told && h('span', { class: 'muted num' }, ` ${told}`)),
      one.problem && problem('The model cannot take this row', one.problem),
      one.segments.length > 0 && h('p', { class: 'data-tokens' }, one.segments.map(segment),
        one.num_hidden > 0 && h('span', { class: 'muted' }, ` and ${format.count(one.num_hidden)} tokens more`)),
      h('details', { open: !one.segments.length }, h('summary', { class: 'small' }, `${one.turns.length} turns`),
        h('dl', { class: 'data-turns small' }, one.turns.flatMap((turn) => [h('dt', null, turn.role), h('dd', null, turn.text)])))));
}

function segment(one) {
  if (one.is_repeated) return h('span', { class: `is-repeated ${one.is_scored ? 'is-scored' : ''}` }, `${one.text} × ${format.count(one.num_tokens)}`);
  return h(one.is_scored ? 'mark' : 'span', {
    class: one.is_scored ? 'is-scored' : 'is-masked',
    title: `${format.count(one.num_tokens)} tokens, ${one.is_scored ? 'count towards the loss' : 'masked from the loss'}`,
  }, one.text);
}

function spread(quantiles) {
  if (quantiles.least === quantiles.most) return format.count(quantiles.least);
  return `${format.count(quantiles.least)} to ${format.count(quantiles.most)}, median ${format.count(quantiles.median)}`;
}
