/** Plots: figures made by Python (`app/plots`), drawn in the page's colours, kept up to date. */

import { h, replace } from './dom.js';
import { forgetColors, resolveColors } from './colors.js';
import { arrangePanels, flash, mapTable, scaleOf, setMapValues } from './panels.js';
import { curveTable, legendOf, lineAt, overwrite } from './curves.js';

const CONFIG = { displayModeBar: false, displaylogo: false, responsive: false, doubleClick: 'reset' };
const drawn = new Map();

/**
 * Draw a figure: its title as a heading, its scale or legend, the plot, and the table behind it.
 * Drawing into the same element again replaces the figure and keeps the zoom.
 * @param {HTMLElement} element An empty element, best with a min-height so that nothing jumps.
 * @param {{data: object[], layout: object}} figure JSON of a plotly figure from `app/plots`.
 * @param {{heading?: 'h2'|'h3', hasTable?: boolean}} [options]
 * @returns {Promise<void>}
 */
export async function draw(element, figure, { heading = 'h2', hasTable = true } = {}) {
  await plotlyIsLoaded();
  drawn.get(element)?.observer.disconnect();
  const { title, ...layout } = figure.layout;
  const state = {
    data: figure.data,
    layout,
    revision: 0,
    title: h(heading, null, title?.text ?? ''),
    reset: h('button', { type: 'button', class: 'plot-reset', hidden: true }, 'Reset zoom'),
    legend: h('div'),
    canvas: h('div', { class: 'plot-canvas' }),
    table: null,
    observer: new ResizeObserver(() => resize(state)),
  };
  drawn.set(element, state);
  state.canvas.setAttribute('role', 'img');
  state.canvas.setAttribute('aria-label', `${title?.text ?? 'Plot'}; the figures are in the table below it`);
  element.classList.add('plot');
  replace(element, h('div', { class: 'plot-head' }, h('div', { class: 'row' }, state.title, state.reset), state.legend), state.canvas);
  if (hasTable) element.append(tableBehind(state));
  replace(state.legend, isMap(state) ? scaleOf(state.layout.meta) : legendOf(state.data));
  await render(state);
  state.observer.observe(state.canvas);
  offerReset(state);
}

/**
 * Show other ranks (or differences) in a map.
 * @param {HTMLElement} element Drawn before with a figure of `rank_map`.
 * @param {number[]} values Per module, in the order of the inventory.
 * @param {{title?: string, notes?: (string|null)[], changed?: number[]}} [options] `notes`: a line
 *   per module for the pointer and the table; `changed`: modules whose cells light up for a moment.
 */
export function setRanks(element, values, { title, notes = [], changed = [] } = {}) {
  const state = drawn.get(element);
  if (!state) return;
  setMapValues(state, values, notes);
  if (title) setTitle(element, title);
  render(state);
  flash(state.canvas, state.layout.meta, changed);
  state.table?.refresh();
}

/**
 * Replace curves by new points; callers thin long ones (`curves.js: thin`), so that it stays cheap.
 * @param {HTMLElement} element
 * @param {Object<string, object>} points By the name of the trace: `x`, `y`, and what else changes.
 */
export function setPoints(element, points) {
  const state = drawn.get(element);
  if (!state) return;
  overwrite(state.data, points);
  render(state);
}

/**
 * Replace the title, for instance when the step it names changes.
 * @param {HTMLElement} element
 * @param {string} text
 */
export function setTitle(element, text) {
  const state = drawn.get(element);
  if (!state || state.title.textContent === text) return;
  state.title.textContent = text;
  state.canvas.setAttribute('aria-label', `${text}; the figures are in the table below it`);
}

/**
 * Draw an upright line at a step, or take it away.
 * @param {HTMLElement} element
 * @param {number|null} x
 */
export function setMark(element, x) {
  const state = drawn.get(element);
  if (!state || state.mark === x) return;
  state.mark = x;
  state.layout.shapes = x === null ? [] : [lineAt(x)];
  render(state);
}

/**
 * Change an axis, for instance its type; a zoom on it is given up.
 * @param {HTMLElement} element
 * @param {string} name For instance "yaxis".
 * @param {object} changes Of plotly's layout.
 */
export function setAxis(element, name, changes) {
  const state = drawn.get(element);
  if (!state) return;
  state.layout[name] = { ...state.layout[name], ...changes, uirevision: JSON.stringify(changes) };
  render(state);
}

/**
 * Call a function when a point is clicked.
 * @param {HTMLElement} element
 * @param {(point: {x: number, y: number, name: string}) => void} action
 */
export function onPointClick(element, action) {
  drawn.get(element)?.canvas.on('plotly_click', ({ points }) => {
    if (points.length) action({ x: points[0].x, y: points[0].y, name: points[0].data.name });
  });
}

/** Draw everything again in the colours of the theme that is set now. */
export function themeChanged() {
  forgetColors();
  for (const [element, state] of drawn) {
    if (element.isConnected) render(state);
    else forget(element, state);
  }
}

window.addEventListener('rankscope-theme', themeChanged);

/** A zoom is undone by a button too, not only by a double click. */
function offerReset(state) {
  state.canvas.on?.('plotly_relayout', (change) => {
    state.reset.hidden = !Object.keys(change).some((key) => key.includes('.range['));
  });
  state.reset.addEventListener('click', () => {
    state.layout.uirevision = `reset ${state.revision}`;
    state.reset.hidden = true;
    render(state);
  });
}

/** Plotly draws everything anew from our state; its uirevision keeps what the person zoomed. */
function render(state) {
  const width = state.canvas.clientWidth;
  if (!width) return Promise.resolve(); // in a closed or hidden place: drawn when it gets a width
  state.width = width;
  state.revision += 1;
  const placed = isMap(state) ? arrangePanels(state.layout, width) : state.layout;
  const layout = { ...placed, width, datarevision: state.revision };
  if (window.matchMedia('(pointer: coarse)').matches) layout.dragmode = false; // a finger scrolls
  const data = isMap(state) ? withTextSize(state.data, placed) : state.data;
  return window.Plotly.react(state.canvas, resolveColors(data), resolveColors(layout), CONFIG);
}

function withTextSize(data, placed) {
  return data.map((trace) => ({ ...trace, textfont: { size: placed.meta.textSize } }));
}

function resize(state) {
  const width = state.canvas.clientWidth;
  if (width && width !== state.width) render(state);
}

function forget(element, state) {
  state.observer.disconnect();
  drawn.delete(element);
}

function isMap(state) {
  return Boolean(state.layout.meta?.panels);
}

/** Built when it is opened; the table of a map follows the map. */
function tableBehind(state) {
  const place = h('div', { class: 'table-scroll', tabindex: '0', role: 'region' });
  place.setAttribute('aria-label', 'Figures of the plot');
  const details = h('details', { class: 'plot-table' }, h('summary', null, 'Table'), place);
  const build = () => replace(place, isMap(state) ? mapTable(state.layout.meta) : curveTable(state.data));
  details.addEventListener('toggle', () => details.open && build());
  state.table = { refresh: () => (details.open || isMap(state)) && build() };
  if (isMap(state)) build();
  return details;
}

/** plotly.js is loaded beside everything else and may still be on its way. */
async function plotlyIsLoaded() {
  while (!window.Plotly) await new Promise((resolve) => window.setTimeout(resolve, 20));
}
