/** Names of tokens in figures (`var(--text)`) as the colours of the theme that is set now. */

const DATA = new Set(['x', 'y', 'z', 'text', 'customdata', 'meta']);
const TOKEN = /^var\((--[\w-]+)\)$/;

/**
 * A copy of a figure's part with every token replaced; arrays of data are shared, not copied.
 * @param {any} part
 * @returns {any}
 */
export function resolveColors(part) {
  if (typeof part === 'string') {
    const token = TOKEN.exec(part);
    return token ? colorOf(token[1]) : part;
  }
  if (Array.isArray(part)) return part.map(resolveColors);
  if (part === null || typeof part !== 'object') return part;
  return Object.fromEntries(
    Object.entries(part).map(([key, value]) => [key, DATA.has(key) && Array.isArray(value) ? value : resolveColors(value)]),
  );
}

/** Forget the colours: the theme has changed. */
export function forgetColors() {
  known.clear();
}

/** Asking the browser makes it compute all styles, hence once per theme. */
function colorOf(name) {
  if (!known.has(name)) known.set(name, getComputedStyle(document.body).getPropertyValue(name).trim());
  return known.get(name);
}

const known = new Map();
