/** Rank maps: where their panels stand, their cells' values, their scale and their table. */

import { h } from './dom.js';
import { count, params } from './format.js';

const GUTTER = 30; // labels of layers, px
const GAP = 26;
const HEAD = 42; // part and column titles, px
const HEAD_OF_ONE = 22;
const MIN_CELL = 30; // narrower than this, panels stand below each other
const MAX_CELL = 152;

/**
 * Lay the panels out side by side, or below each other where it is narrow.
 * @param {object} layout A map's layout with `meta.panels`.
 * @param {number} width Pixels.
 * @returns {object} A layout with domains, height and titles of the panels.
 */
export function arrangePanels(layout, width) {
  const { panels } = layout.meta;
  const columns = panels.reduce((sum, panel) => sum + panel.num_columns, 0);
  const beside = (width - panels.length * GUTTER - (panels.length - 1) * GAP) / columns;
  const isBeside = panels.length === 1 || beside >= MIN_CELL;
  const widest = Math.max(...panels.map((panel) => panel.num_columns));
  const cell = Math.min(MAX_CELL, isBeside ? beside : (width - GUTTER) / widest);
  const most = Math.max(...panels.map((panel) => panel.num_rows));
  const row = Math.max(13, Math.min(38, 0.62 * cell, 560 / most));
  const head = panels.length === 1 ? HEAD_OF_ONE : HEAD;
  const boxes = boxesOf(panels, { isBeside, cell, row, head });
  const height = Math.ceil(Math.max(...boxes.map((box) => box.bottom))) + 2;
  const textSize = row < 16 || cell < 20 ? 1 : Math.min(13, Math.max(10, row * 0.42));
  return {
    ...layout,
    ...Object.assign({}, ...boxes.map((box, index) => axesOf(layout, box, index, width, height))),
    height,
    annotations: panels.length === 1 ? [] : boxes.map((box, index) => titleOf(panels[index], box, width, height)),
    meta: { ...layout.meta, textSize, isTextShown: textSize > 1 },
  };
}

/** Write new values and what the pointer says into the traces of a map. */
export function setMapValues(state, values, notes) {
  const { meta } = state.layout;
  meta.values = values;
  meta.notes = notes;
  meta.panels.forEach((panel, index) => {
    const [frame, , filled] = state.data.slice(3 * index, 3 * index + 3);
    filled.z = grid(panel, (module) => values[module] || null);
    frame.customdata = grid(panel, (module) => hover(meta, module));
  });
}

/**
 * The scale of colours: an empty cell for 0, then the ramp to the largest value.
 * @param {object} meta
 * @returns {HTMLElement}
 */
export function scaleOf(meta) {
  const [low, high] = meta.limits;
  const stops = meta.colors.map(([at, color]) => `${color} ${100 * at}%`).join(', ');
  const ramp = h('span', { class: 'ramp', style: { background: `linear-gradient(90deg, ${stops})` } });
  const hollow = h('span', { class: 'hollow' });
  if (low < 0) {
    return h('span', { class: 'plot-scale', role: 'img', 'aria-label': `Colour scale: change of rank from ${low} to ${high}` },
      `−${-low}`, ramp, `+${high}`, h('span', { class: 'gap' }), hollow, 'equal');
  }
  return h('span', { class: 'plot-scale', role: 'img', 'aria-label': `Colour scale: rank 0 to ${high}; 0 is an empty cell` },
    'rank', hollow, '0', h('span', { class: 'gap' }), '1', ramp, String(high));
}

/**
 * The figures behind a map: one table per panel, each cell with its module's name.
 * @param {object} meta
 * @returns {HTMLElement}
 */
export function mapTable(meta) {
  return h('div', null, meta.panels.map((panel) => {
    const names = columnTitles(meta, panel);
    const rows = grid(panel, (module) => module);
    const what = meta.kind === 'rank_map' ? 'rank of every adapter' : 'change of rank of every adapter';
    return h('table', { class: 'table table-dense' },
      h('caption', { class: 'visually-hidden' }, `${panel.title}: ${what}`),
      h('thead', null, h('tr', null, h('th', { scope: 'col' }, panel.title), names.map((name) => h('th', { scope: 'col', class: 'num' }, name)))),
      h('tbody', null, rows.map((cells) => h('tr', null,
        h('th', { scope: 'row' }, layerName(meta, cells)),
        cells.map((module) => tableCell(meta, module))))));
  }));
}

/**
 * Light the cells of some modules up for a moment; not where motion is unwanted.
 * @param {HTMLElement} canvas
 * @param {object} meta
 * @param {number[]} changed Indices of modules.
 */
export function flash(canvas, meta, changed) {
  for (const old of canvas.querySelectorAll('.plot-flash')) old.remove();
  if (!canvas._fullLayout || window.matchMedia('(prefers-reduced-motion: reduce)').matches) return;
  meta.panels.forEach((panel, index) => {
    const number = index === 0 ? '' : String(index + 1);
    const x = canvas._fullLayout[`xaxis${number}`];
    const y = canvas._fullLayout[`yaxis${number}`];
    for (const [module, row, column] of panel.cells) {
      if (changed.includes(module)) canvas.append(ringOver(x, y, row, column));
    }
  });
}

function ringOver(x, y, row, column) {
  const cell = h('span', { class: 'plot-flash', 'aria-hidden': 'true' });
  const left = x._offset + x.d2p(column - 0.5);
  const top = y._offset + y.d2p(row - 0.5);
  Object.assign(cell.style, {
    left: `${left}px`,
    top: `${top}px`,
    width: `${x._offset + x.d2p(column + 0.5) - left}px`,
    height: `${y._offset + y.d2p(row + 0.5) - top}px`,
  });
  cell.addEventListener('animationend', () => cell.remove());
  return cell;
}

function boxesOf(panels, { isBeside, cell, row, head }) {
  let x = 0;
  let y = 0;
  return panels.map((panel) => {
    const left = x + GUTTER;
    const top = y + head;
    const box = { left, top, right: left + cell * panel.num_columns, bottom: top + row * panel.num_rows };
    if (isBeside) x = box.right + GAP;
    else y = box.bottom + GAP;
    return box;
  });
}

function axesOf(layout, box, index, width, height) {
  const number = index === 0 ? '' : String(index + 1);
  return {
    [`xaxis${number}`]: { ...layout[`xaxis${number}`], domain: [box.left / width, Math.min(1, box.right / width)] },
    [`yaxis${number}`]: { ...layout[`yaxis${number}`], domain: [1 - box.bottom / height, 1 - box.top / height] },
  };
}

function titleOf(panel, box, width, height) {
  return {
    text: `<b>${panel.title}</b>`,
    x: box.left / width, y: 1 - (box.top - HEAD) / height,
    xref: 'paper', yref: 'paper', xanchor: 'left', yanchor: 'top', showarrow: false,
    font: { size: 11, color: 'var(--text-2)' },
  };
}

function grid(panel, valueOf) {
  const rows = Array.from({ length: panel.num_rows }, () => Array(panel.num_columns).fill(null));
  for (const [module, row, column] of panel.cells) rows[row][column] = valueOf(module);
  return rows;
}

function hover(meta, index) {
  const module = meta.modules[index];
  const value = meta.values[index];
  const said = meta.kind === 'rank_map'
    ? `rank ${value}${value ? '' : ' (no adapter)'} · ${params(value * module.cost)}`
    : `${value > 0 ? '+' : ''}${value} rank · ${count(value * module.cost)} parameters`;
  const note = meta.notes[index] ? `<br>${plain(meta.notes[index])}` : '';
  return `<b>${plain(module.name)}</b><br>${said}${note}`;
}

function tableCell(meta, index) {
  if (index === null) return h('td', null);
  const module = meta.modules[index];
  return h('td', { class: 'num', dataset: { module: module.name }, title: module.name }, String(meta.values[index]));
}

function columnTitles(meta, panel) {
  const titles = [];
  for (const [module, , column] of panel.cells) titles[column] ??= meta.modules[module].type.replace(/_proj$/, '');
  return titles;
}

function layerName(meta, cells) {
  const first = cells.find((module) => module !== null);
  return first === undefined ? '' : `L${meta.modules[first].layer}`;
}

/** Plotly reads a little HTML in hover texts; data must not be taken for it. */
function plain(text) {
  return String(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
