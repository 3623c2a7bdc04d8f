/** Elements without markup: text always goes through textContent. */

/**
 * Make an element.
 * @param {string} tag
 * @param {object|null} [props] Attributes; `class`, `dataset`, `style` (object), `on*` listeners;
 *   true sets an empty attribute, false, null and undefined leave it out.
 * @param {...(Node|string|number|null|undefined|false|Array)} children Strings become text.
 * @returns {HTMLElement}
 */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  setProps(element, props ?? {});
  element.append(...nodes(children));
  return element;
}

/**
 * Put new content into an element.
 * @param {Element} element
 * @param {...(Node|string|null|undefined|false|Array)} children
 */
export function replace(element, ...children) {
  element.replaceChildren(...nodes(children));
}

/**
 * A 16 px line icon in the colour of the text around it; hidden from screen readers.
 * @param {string} name A name of ICONS; an unknown one draws a dot.
 * @param {string} [extra] More classes.
 * @returns {SVGElement}
 */
export function icon(name, extra = '') {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 16 16');
  svg.setAttribute('aria-hidden', 'true');
  svg.setAttribute('class', `icon ${extra}`.trim());
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', ICONS[name] ?? ICONS.dot);
  svg.append(path);
  return svg;
}

const SVG = 'http://www.w3.org/2000/svg';

const ICONS = {
  dot: 'M8 7v2',
  running: 'M8 2a6 6 0 1 1-6 6',
  queued: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2M8 4.7V8l2.2 1.5',
  starting: 'M8 1.8v2.6M8 11.6v2.6M1.8 8h2.6M11.6 8h2.6M3.6 3.6l1.9 1.9M10.5 10.5l1.9 1.9',
  paused: 'M5.5 3.5v9M10.5 3.5v9',
  done: 'm3 8.5 3.3 3.3L13 4.8',
  failed: 'm4 4 8 8M12 4l-8 8',
  stopped: 'M4.2 4.2h7.6v7.6H4.2z',
  lost: 'M6.2 9.8 4.6 11.4a2 2 0 0 1-2.9-2.9l1.7-1.6M9.8 6.2l1.6-1.6a2 2 0 0 1 2.9 2.9l-1.7 1.6M3 3l10 10',
  held: 'M5.5 3.5v9M10.5 3.5v9',
  play: 'M5 3.2v9.6L12.8 8z',
  stop: 'M4.2 4.2h7.6v7.6H4.2z',
  export: 'M8 2.5v7.2M5 7l3 3 3-3M2.8 11.5v2h10.4v-2',
  clone: 'M5.5 5.5h8v8h-8zM2.5 10.5v-8h8',
  copy: 'M5.5 5.5h8v8h-8zM2.5 10.5v-8h8',
  check: 'm3 8.5 3.3 3.3L13 4.8',
  plus: 'M8 3v10M3 8h10',
  search: 'M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M10.4 10.4l3.1 3.1',
  warning: 'M8 2.3 14.2 13H1.8zM8 6.3v3.2M8 11.3v.1',
  info: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2M8 7.3v3.5M8 5v.1',
  offline: 'M2 6.5a9 9 0 0 1 12 0M4.5 9.3a5.4 5.4 0 0 1 7 0M8 12.4v.1M2.5 2.5l11 11',
  up: 'M8 13V3.5M4 7.2l4-4 4 4',
  down: 'M8 3v9.5M4 8.8l4 4 4-4',
  first: 'M3 2.8h10M8 13.5V6M4.5 9 8 5.5 11.5 9',
  previous: 'm9.8 3.8-4.2 4.2 4.2 4.2',
  next: 'm6.2 3.8 4.2 4.2-4.2 4.2',
  end: 'm4.2 3.8 4.2 4.2-4.2 4.2M11.8 3.8v8.4',
  sun: 'M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6M8 1.5v1.4M8 13.1v1.4M1.5 8h1.4M13.1 8h1.4M3.4 3.4l1 1M11.6 11.6l1 1M12.6 3.4l-1 1M4.4 11.6l-1 1',
  moon: 'M13.2 9.6A5.6 5.6 0 0 1 6.4 2.8a5.6 5.6 0 1 0 6.8 6.8z',
  leave: 'M9.5 2.5h-6v11h6M7 8h7M11.3 5.2 14 8l-2.7 2.8',
  close: 'm4 4 8 8M12 4l-8 8',
  file: 'M4 1.8h5.2L12.5 5v9.2H4zM9 2v3.3h3.3',
  sort: 'M5 6.2 8 3.2l3 3M5 9.8l3 3 3-3',
};

function nodes(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}

function setProps(element, props) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2).toLowerCase(), value);
    else if (name === 'dataset') Object.assign(element.dataset, value);
    else if (name === 'style' && typeof value === 'object') setStyle(element, value);
    else if (name === 'value') element.value = value;
    else element.setAttribute(name, value === true ? '' : String(value));
  }
}

function setStyle(element, style) {
  for (const [name, value] of Object.entries(style)) {
    if (name.startsWith('--')) element.style.setProperty(name, value);
    else element.style[name] = value;
  }
}
