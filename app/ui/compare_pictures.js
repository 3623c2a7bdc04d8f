/** Pictures of a comparison: curves over each other, rank maps on one scale, their differences. */

import { format, h, replace } from './ui.js';
import { draw, setPoints, setRanks, setTitle } from './plots.js';
import { scaleOf } from './panels.js';
import { morph, picker } from './morph.js';

const CURVES = ['loss', 'validation'];

/** Kept over updates: figures are drawn once and then only filled, so zoom stays. */
export class Pictures {
  constructor() {
    this.figures = new Map();
    this.curveHead = h('div', { class: 'toolbar' });
    this.curvePlaces = Object.fromEntries(CURVES.map((kind) => [kind, h('div', { class: 'compare-curve' })]));
    this.tables = Object.fromEntries(CURVES.map((kind) => [kind, new CurveTable(kind)]));
    this.mapHead = h('div', { class: 'toolbar' });
    this.maps = h('div', { class: 'compare-maps' });
    this.changeHead = h('div', { class: 'toolbar' });
    this.changes = h('div', { class: 'compare-maps' });
    this.changeCard = h('div', { hidden: true }, this.changeHead, this.changes);
    this.element = h('div', { class: 'compare-pictures' },
      h('section', { class: 'card', 'aria-label': 'Curves' }, this.curveHead,
        h('div', { class: 'compare-curves' }, CURVES.map((kind) =>
          h('div', null, this.curvePlaces[kind], this.tables[kind].element)))),
      h('section', { class: 'card compare-ranks', 'aria-label': 'Rank maps' }, this.mapHead, this.maps, this.changeCard));
  }

  /**
   * Bring all pictures up to date.
   * @param {object} page Answer of /api/compare.
   * @param {'mean'|'runs'} curves
   * @param {string} seed Seed of the maps; empty for the mean.
   */
  show(page, curves, seed) {
    morph(this.curveHead, h('h2', null, 'Curves over each other'), curveChoice(curves));
    for (const kind of CURVES) {
      this.showCurves(this.curvePlaces[kind], page.curves[kind].figure);
      this.tables[kind].show(page.curves[kind].series);
    }
    const { maps, differences } = page.maps;
    const meta = maps.find((one) => one.figure)?.figure.layout.meta;
    morph(this.mapHead, h('div', null, h('h2', null, 'Ranks at one colour scale'),
      page.num_open > 0 && h('p', { class: 'muted small' }, 'As they are now; runs are still live.')),
    h('div', { class: 'row' }, meta && scaleOf(meta), seedChoice(page.seeds, seed)));
    this.showMaps(this.maps, maps);
    const change = differences.find((one) => one.figure)?.figure.layout.meta;
    this.changeCard.hidden = differences.length === 0;
    morph(this.changeHead, h('h2', null, `Ranks minus those of ${page.baseline}`), change && scaleOf(change));
    this.showMaps(this.changes, differences);
  }

  showCurves(place, figure) {
    const { title } = figure.layout;
    const names = JSON.stringify(figure.data.map((trace) => [trace.name, trace.line?.color, trace.line?.dash]));
    const content = JSON.stringify(figure.data);
    const known = this.figures.get(place);
    this.figures.set(place, { names, content });
    if (known?.names !== names) draw(place, figure, { heading: 'h3', hasTable: false });
    else if (known.content !== content) {
      setTitle(place, title.text);
      setPoints(place, Object.fromEntries(figure.data.map(({ name, x, y, customdata }) => [name, { x, y, customdata }])));
    }
  }

  showMaps(place, maps) {
    const kinds = JSON.stringify(maps.map(({ configuration, figure, missing }) => [
      configuration, missing, figure?.layout.meta.limits, figure?.layout.meta.modules.length]));
    if (this.figures.get(place) !== kinds) {
      this.figures.set(place, kinds);
      replace(place, maps.map(() => h('div', { class: 'compare-map' })));
      maps.forEach(({ configuration, figure, missing }, index) => {
        const one = place.children[index];
        if (figure) {
          this.figures.set(one, figure.layout.meta.values);
          draw(one, figure, { heading: 'h3' });
        } else replace(one, h('h3', null, configuration), h('p', { class: 'compare-missing muted' }, missing));
      });
      return;
    }
    maps.forEach(({ figure }, index) => figure && this.fillMap(place.children[index], figure));
  }

  fillMap(place, figure) {
    const { values } = figure.layout.meta;
    const before = this.figures.get(place);
    const title = figure.layout.title.text;
    const changed = values.flatMap((value, module) => (value === before[module] ? [] : [module]));
    if (changed.length) setRanks(place, values, { title, changed });
    else setTitle(place, title);
    this.figures.set(place, values);
  }
}

/** The figures behind curves: one row per step, one column per curve. */
class CurveTable {
  constructor(kind) {
    this.kind = kind;
    this.body = h('div', { class: 'table-scroll', tabindex: '0', role: 'region', 'aria-label': 'Figures of the curves' });
    this.element = h('details', { class: 'plot-table', ontoggle: () => this.fill() }, h('summary', null, 'Table'), this.body);
  }

  show(series) {
    this.series = series;
    this.fill();
  }

  fill() {
    if (!this.element.open || !this.series) return;
    const names = Object.keys(this.series);
    const at = names.map((name) => new Map(this.series[name].map((point) => [point.step, point])));
    const steps = [...new Set(at.flatMap((points) => [...points.keys()]))].sort((a, b) => a - b);
    const write = this.kind === 'loss' ? (value) => value.toFixed(3) : (value) => (100 * value).toFixed(1);
    const unit = this.kind === 'loss' ? '' : ' (%)';
    morph(this.body, h('table', { class: 'table table-dense' },
      h('thead', null, h('tr', null, h('th', { scope: 'col', class: 'num' }, 'Step'),
        names.map((name) => h('th', { scope: 'col', class: 'num' }, `${name}${unit}`)))),
      h('tbody', null, steps.map((step) => h('tr', null, h('th', { scope: 'row', class: 'num' }, format.count(step)),
        at.map((points) => h('td', { class: 'num' }, told(points.get(step), write))))))));
  }
}

function told(point, write) {
  if (!point) return '–';
  return point.num_runs > 1 ? `${write(point.mean)} (${write(point.low)} to ${write(point.high)})` : write(point.mean);
}

function curveChoice(curves) {
  const options = [['mean', 'Mean over seeds'], ['runs', 'Every run']];
  return h('div', { class: 'button-group', role: 'group', 'aria-label': 'Curves' }, options.map(([value, label]) =>
    h('button', { type: 'button', class: 'button', 'data-act': 'curves', 'data-value': value, 'aria-pressed': String(curves === value) }, label)));
}

function seedChoice(seeds, seed) {
  const options = [['', 'Mean over seeds'], ...seeds.map((one) => [String(one), `Seed ${one}`])];
  return h('label', { class: 'compare-pick' }, 'Ranks of', picker('seed', options, seed));
}
