/** Curves: points replaced and thinned, legend, mark, and the table behind them. */

import { h } from './dom.js';
import { count, number } from './format.js';

const MAX_ROWS = 400;
const SIGNS = { diamond: '◆', 'triangle-up': '▲' };

/** Replace the points of the traces of that name. */
export function overwrite(data, points) {
  for (const trace of data) {
    if (points[trace.name]) Object.assign(trace, points[trace.name]);
  }
}

/**
 * Fewer points that look the same: the low and the high of every bucket, in their order.
 * @param {number[]} x
 * @param {number[]} y
 * @param {number} target Points to keep, about.
 * @returns {{x: number[], y: number[]}}
 */
export function thin(x, y, target) {
  const size = Math.ceil(x.length / (target / 2));
  if (size < 3) return { x, y };
  const kept = { x: [], y: [] };
  for (let start = 0; start < x.length; start += size) {
    let low = start;
    let high = start;
    for (let at = start; at < Math.min(x.length, start + size); at += 1) {
      if (y[at] < y[low]) low = at;
      if (y[at] > y[high]) high = at;
    }
    for (const at of low === high ? [low] : [Math.min(low, high), Math.max(low, high)]) {
      kept.x.push(x[at]);
      kept.y.push(y[at]);
    }
  }
  return kept;
}

/** Names of the curves beside a stroke of their colour; traces with showlegend=false are left out. */
export function legendOf(data) {
  const shown = data.filter((trace) => trace.name && trace.showlegend !== false);
  return h('div', { class: 'plot-legend' }, shown.map((trace) => {
    const isLine = trace.mode?.includes('lines');
    const color = (isLine ? trace.line?.color : trace.marker?.line?.color ?? trace.marker?.color) ?? 'currentColor';
    const dash = { dash: 'dashed', dot: 'dotted' }[trace.line?.dash] ?? 'solid';
    const sign = isLine
      ? h('i', { style: { borderColor: color, borderTopStyle: dash } })
      : h('b', { style: { color: trace.marker?.color ?? color } }, SIGNS[trace.marker?.symbol] ?? '●');
    return h('span', null, sign, trace.name);
  }));
}

/** An upright line over the whole height at `x`. */
export function lineAt(x) {
  return {
    type: 'line', x0: x, x1: x, y0: 0, y1: 1, yref: 'paper', layer: 'below',
    line: { color: 'var(--text-2)', width: 1, dash: 'dot' },
  };
}

/** The figures behind curves, thinned to 400 rows per curve. */
export function curveTable(data) {
  const shown = data.filter((trace) => trace.name && trace.showlegend !== false && trace.x?.length);
  const rows = shown.flatMap((trace) => {
    const { x, y } = thin(trace.x, trace.y, MAX_ROWS);
    return x.map((step, at) => h('tr', null,
      h('td', null, trace.name), h('td', { class: 'num' }, count(step)), h('td', { class: 'num' }, number(y[at]))));
  });
  return h('table', { class: 'table table-dense' },
    h('thead', null, h('tr', null, h('th', { scope: 'col' }, 'Curve'),
      h('th', { scope: 'col', class: 'num' }, 'Step'), h('th', { scope: 'col', class: 'num' }, 'Value'))),
    h('tbody', null, rows));
}
