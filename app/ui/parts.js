/** The parts that pages share: status, problems, empty states, buttons. */

import { h, icon, replace } from './dom.js';
import { ago } from './format.js';

const TONES = {
  queued: '',
  held: '',
  starting: 'chip-accent',
  running: 'chip-accent',
  paused: 'chip-warn',
  done: 'chip-good',
  failed: 'chip-bad',
  stopped: '',
  lost: 'chip-bad',
};

/**
 * A run's status as colour, icon and word.
 * @param {string} status
 * @param {string} [reason] Shown on hover and read to screen readers.
 * @returns {HTMLElement}
 */
export function statusChip(status, reason = '') {
  const moving = { running: 'spin', starting: 'pulse' }[status] ?? '';
  return h(
    'span',
    { class: `chip ${TONES[status] ?? ''}`, 'data-status': status, title: reason || null },
    icon(status, moving),
    status,
    reason && h('span', { class: 'visually-hidden' }, `, ${reason}`),
  );
}

/**
 * A message that stands where its cause is: what is wrong, and what to do.
 * @param {string} title
 * @param {string} [message]
 * @param {string|Node} [remedy] A sentence, or a button.
 * @returns {HTMLElement}
 */
export function problem(title, message = '', remedy = '') {
  return told('problem', 'warning', 'alert', title, message, remedy);
}

/**
 * A calmer message: something to know, nothing broken.
 * @param {string} title
 * @param {string} [message]
 * @param {string|Node} [remedy]
 * @param {'warn'|'calm'} [tone]
 * @returns {HTMLElement}
 */
export function notice(title, message = '', remedy = '', tone = 'warn') {
  const classes = tone === 'calm' ? 'notice notice-calm' : 'notice';
  return told(classes, tone === 'calm' ? 'info' : 'warning', 'status', title, message, remedy);
}

/**
 * Nothing here yet: what it will be, and the one thing to do first.
 * @param {string} title
 * @param {string} text
 * @param {Node} [action]
 * @returns {HTMLElement}
 */
export function empty(title, text, action) {
  return h('div', { class: 'empty' }, h('h2', null, title), h('p', null, text), action);
}

/**
 * A grey place of the final height.
 * @param {number} height Pixels.
 * @returns {HTMLElement}
 */
export function skeleton(height) {
  return h('span', { class: 'skeleton', style: { height: `${height}px` }, 'aria-hidden': 'true' });
}

/**
 * A button, or a link that looks like one.
 * @param {string} label
 * @param {{icon?: string, kind?: 'primary'|'danger'|'quiet', href?: string, onClick?: Function,
 *   isIconOnly?: boolean}} [options]
 * @returns {HTMLElement}
 */
export function button(label, options = {}) {
  const classes = ['button'];
  if (options.kind) classes.push(`button-${options.kind}`);
  if (options.isIconOnly) classes.push('button-icon');
  return h(
    options.href ? 'a' : 'button',
    {
      class: classes.join(' '),
      type: options.href ? null : 'button',
      href: options.href,
      'aria-label': options.isIconOnly ? label : null,
      'data-tip': options.isIconOnly ? label : null,
      onclick: options.onClick && ((event) => click(event, options.onClick)),
    },
    options.icon && icon(options.icon),
    options.isIconOnly ? null : label,
  );
}

/**
 * Switch a button off and say why; it stays in the tab order, so that the reason can be read.
 * @param {HTMLElement} element
 * @param {string} reason
 */
export function disable(element, reason) {
  element.setAttribute('aria-disabled', 'true');
  element.dataset.tip = reason;
  element.setAttribute('aria-description', reason);
}

/** Switch a button on again. */
export function enable(element) {
  element.removeAttribute('aria-disabled');
  element.removeAttribute('data-tip');
  element.removeAttribute('aria-description');
}

/**
 * A button that copies a text and says so.
 * @param {string|(() => string)} text
 * @param {string} [label]
 * @returns {HTMLElement}
 */
export function copyButton(text, label = 'Copy') {
  const element = button(label, {
    icon: 'copy',
    onClick: async () => {
      const isCopied = await copy(typeof text === 'function' ? text() : text);
      replace(element, icon(isCopied ? 'check' : 'warning'), isCopied ? 'Copied' : 'Select and copy by hand');
      window.setTimeout(() => replace(element, icon('copy'), label), 1600);
    },
  });
  element.setAttribute('aria-live', 'polite');
  return element;
}

/**
 * A relative time that keeps itself right; the absolute one on hover.
 * @param {number|null} epochS
 * @returns {HTMLElement}
 */
export function ticking(epochS) {
  if (!epochS) return h('span', { class: 'num' }, '–');
  const moment = new Date(1000 * epochS);
  const element = h(
    'time',
    { class: 'num', datetime: moment.toISOString(), title: moment.toLocaleString() },
    ago(epochS),
  );
  const timer = window.setInterval(() => {
    if (element.isConnected) element.textContent = ago(epochS);
    else window.clearInterval(timer);
  }, 5000);
  return element;
}

function told(classes, sign, role, title, message, remedy) {
  return h(
    'div',
    { class: classes, role },
    icon(sign),
    h(
      'div',
      null,
      h('strong', null, title),
      message && h('div', null, message),
      remedy && !(remedy instanceof Node) && h('div', { class: 'remedy' }, remedy),
    ),
    remedy instanceof Node && remedy,
  );
}

function click(event, action) {
  if (event.currentTarget.getAttribute('aria-disabled') === 'true') {
    event.preventDefault();
    return;
  }
  action(event);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // not over plain HTTP from another host
  }
}
