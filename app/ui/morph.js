/** Change what is shown into what should be shown, touching only what differs. */

import { h } from './dom.js';

/**
 * Make the children of an element equal to new ones, so that focus, selection, scroll and running
 * animations of what has not changed stay as they are.
 *
 * Children with `data-key` are matched by it, others by their place. What lies in an element with
 * `data-keep` is left alone. Listeners are not carried over: listen on the parent (see `onAct`).
 * @param {Element} element
 * @param {...(Node|null|undefined|false)} children The new content; its nodes are used up.
 */
export function morph(element, ...children) {
  const focused = document.activeElement;
  const wanted = document.createElement('div');
  wanted.append(...children.flat(Infinity).filter(Boolean));
  syncChildren(element, wanted);
  // a node that was moved has lost the focus
  if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
}

/**
 * Call a function when something with `data-act` is clicked or a `picker` has changed.
 * @param {Element} element
 * @param {(act: string, data: object) => void} action `data` holds the element's data attributes,
 *   of a picker its new `value`.
 */
export function onAct(element, action) {
  element.addEventListener('click', (event) => {
    const source = event.target.closest('[data-act]');
    if (!source || !element.contains(source)) return;
    if (source.getAttribute('aria-disabled') === 'true') event.preventDefault();
    else action(source.dataset.act, source.dataset);
  });
  element.addEventListener('change', ({ target }) => {
    if (target.dataset.pick) action(target.dataset.pick, { value: target.value });
  });
}

/**
 * A select whose change is told as an act.
 * @param {string} act
 * @param {[string, string][]} options Values and labels.
 * @param {string} value
 * @returns {HTMLSelectElement}
 */
export function picker(act, options, value) {
  const element = h('select', { class: 'input', 'data-pick': act },
    options.map(([key, label]) => h('option', { value: key }, label)));
  element.value = value;
  return element;
}

function syncChildren(have, want) {
  const keyed = new Map([...have.children].filter((one) => one.dataset?.key).map((one) => [one.dataset.key, one]));
  let cursor = have.firstChild;
  for (const next of [...want.childNodes]) {
    const match = next.dataset?.key ? keyed.get(next.dataset.key) : sameAt(cursor, next);
    if (!match || match.nodeName !== next.nodeName) {
      have.insertBefore(next, cursor);
      continue;
    }
    if (match === cursor) cursor = cursor.nextSibling;
    else have.insertBefore(match, cursor);
    sync(match, next);
  }
  while (cursor) {
    const after = cursor.nextSibling;
    cursor.remove();
    cursor = after;
  }
}

/** The node at this place, if it has no key and is of the same kind. */
function sameAt(cursor, next) {
  return cursor && cursor.nodeName === next.nodeName && !cursor.dataset?.key ? cursor : null;
}

function sync(have, want) {
  if (have.nodeType !== Node.ELEMENT_NODE) {
    if (have.nodeValue !== want.nodeValue) have.nodeValue = want.nodeValue;
    return;
  }
  if ('keep' in have.dataset) return;
  for (const { name } of [...have.attributes]) {
    if (!want.hasAttribute(name) && name !== 'open') have.removeAttribute(name);
  }
  for (const { name, value } of want.attributes) {
    if (have.getAttribute(name) !== value) have.setAttribute(name, value);
  }
  syncChildren(have, want);
  if ('value' in want && have.tagName === 'SELECT' && have !== document.activeElement) have.value = want.value;
}
