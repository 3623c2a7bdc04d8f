/** Names of tokens in figures (`var(--text)`) as the colours of the theme that is set now. */

const DATA = new Set(['x', 'y', 'z', 'text', 'customdata', 'meta']);
const TOKEN = /^var\((--[\w-]+)\)$/;

/**
 * A copy of a figure's part with every token replaced; arrays of data are shared, not copied.
 * @param {any} part
 * @returns {any}
 */
export function resolveColors(part) {
  const style = getComputedStyle(document.body);
  return resolved(part, style);
}

function resolved(part, style) {
  if (typeof part === 'string') {
    const token = TOKEN.exec(part);
    return token ? style.getPropertyValue(token[1]).trim() : part;
  }
  if (Array.isArray(part)) return part.map((item) => resolved(item, style));
  if (part === null || typeof part !== 'object') return part;
  return Object.fromEntries(
    Object.entries(part).map(([key, value]) => [key, DATA.has(key) && Array.isArray(value) ? value : resolved(value, style)]),
  );
}
