/** The page of one run: history first, then its live tail; every part redraws what changed. */

import { api, button, empty, h, Problem, problem, replace, session } from './ui.js';
import { follow } from './run/connection.js';
import { Details } from './run/details.js';
import { Header } from './run/header.js';
import { History } from './run/history.js';
import { Log } from './run/log.js';
import { RankMap } from './run/map.js';
import { Notices } from './run/notices.js';
import { Training } from './run/training.js';
import { Why } from './run/why.js';

const TICK_MS = 1000;

/**
 * Take the page over.
 * @param {HTMLElement} element
 */
export async function start(element) {
  const address = new URLSearchParams(window.location.search);
  const runId = address.get('run');
  if (!runId) {
    replace(element, h('div', { class: 'screen' }, empty('No run chosen', 'Open a run from the list of runs.', button('Runs', { href: '/', kind: 'primary' }))));
    return;
  }
  try {
    const [page, figures, who] = await Promise.all([readPage(runId), readFigures(runId), session().catch(() => null)]);
    const run = new RunPage(runId, page, who?.can_operate ?? false, figures.other_version);
    replace(element, run.element);
    await run.start(figures, address.get('step'));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    replace(element, refusal(runId, error));
    if (error.status === 0 || error.status >= 500) window.setTimeout(() => start(element), 3000);
  }
}

/** All parts of the page and what they show. */
class RunPage {
  constructor(runId, page, canOperate, otherVersion) {
    this.runId = runId;
    this.history = new History(page);
    this.restUntil = 0; // by performance.now()
    this.wanted = 0; // id of an event that must be read from the database; 0 if there is none
    this.link = { connection: 'open', lostAt: null, beat: null };
    this.header = new Header(runId, canOperate, () => this.reload());
    this.notices = new Notices(otherVersion);
    this.map = new RankMap((index, isLive) => this.chosen(index, isLive));
    this.why = new Why((index) => this.choose(index));
    this.training = new Training((step) => this.choose(this.history.momentAt(step)));
    this.log = new Log(runId);
    this.details = new Details();
    this.element = h('div', { class: 'screen run' },
      this.header.element, this.notices.element,
      h('div', { class: 'run-grid' }, this.map.element,
        h('div', { class: 'run-curves' }, this.training.lossCard, this.training.accuracyCard),
        this.why.element, this.log.element, this.details.element));
  }

  async start(figures, step) {
    this.hasMap = Boolean(figures.rank_map);
    this.update();
    this.details.showSettings(figures.settings);
    if (step !== null && this.history.moments.length) this.map.timeline.choose(this.history.momentAt(Number(step)));
    follow(this.runId, {
      cursor: () => this.history.cursor,
      onEvents: (events, to) => this.take(events, to),
      onReload: (after) => this.reload(after),
      onBeat: (beat) => this.beat(beat),
      onState: (state) => this.connection(state),
    });
    window.setInterval(() => this.tick(), TICK_MS);
    await Promise.all([this.map.start(figures.rank_map), this.training.start(figures)]);
    this.markChosen();
  }

  /** Show all of the history; parts that did not change do nothing. */
  update() {
    const { history } = this;
    this.header.update(history, this.link.connection === 'open');
    this.notices.update(history, this.link);
    this.map.update(history);
    this.why.update(history, this.map.timeline.index);
    this.training.update(history);
    this.log.update(history);
    this.details.update(history);
  }

  /**
   * Draw once for all messages that wait, and at most half of the time: a slow machine draws less
   * often, but never falls behind. A timer, not requestAnimationFrame, which stops in hidden tabs.
   */
  updateSoon() {
    this.drawing ??= window.setTimeout(() => {
      this.drawing = null;
      const begun = performance.now();
      this.update();
      const ended = performance.now();
      this.restUntil = 2 * ended - begun;
    }, Math.max(0, this.restUntil - performance.now()));
  }

  take(events, to) {
    this.arrived?.push(...events);
    const kinds = events.map((form) => this.history.apply(form));
    this.history.cursor = Math.max(this.history.cursor, to);
    this.updateSoon();
    if (kinds.includes('status')) this.reloadSoon();
  }

  beat(beat) {
    const { history } = this;
    history.clockOffsetS = beat.now - Date.now() / 1000;
    this.link.beat = beat;
    if (!beat.run) return; // the database is away; the banner says so
    const before = `${history.run.status}${history.run.attempt}`;
    const { last_event_id: lastEventId, ...run } = beat.run;
    Object.assign(history.run, run);
    if (before !== `${run.status}${run.attempt}`) this.reloadSoon();
    // without a tail (no Redis, or a run in the foreground) the database is ahead, beat after beat
    const isBehind = lastEventId > history.cursor;
    if (this.wanted || (isBehind && this.behindAt === history.cursor)) this.reload(Math.max(this.wanted, lastEventId));
    this.behindAt = isBehind ? history.cursor : null;
    this.update();
  }

  connection(state) {
    if (state === this.link.connection) return;
    this.link.connection = state;
    this.link.lostAt = state === 'lost' ? Date.now() / 1000 : null;
    this.element.classList.toggle('is-disconnected', state !== 'open');
    if (state === 'sign-in') window.location.reload(); // the server then asks to sign in
    this.update();
  }

  /**
   * Read all again; the picture stays until the answer is there.
   * @param {number} [after] The answer must hold this event, or the next beat asks again.
   */
  async reload(after = 0) {
    this.wanted = Math.max(this.wanted, after);
    this.reloading ??= this.readAgain().finally(() => {
      this.reloading = null;
    });
    await this.reloading;
  }

  /** What came while the answer was on its way is put on top of it: nothing is lost, nothing twice. */
  async readAgain() {
    const { wanted } = this;
    const shown = this.history.cursor;
    this.arrived = [];
    const page = await readPage(this.runId, Math.max(wanted, shown)).catch(() => null);
    const { arrived } = this;
    this.arrived = null;
    if (!page) return; // the notice about the connection says so; the next beat tries again
    const isLive = ['starting', 'running', 'paused'].includes(page.run.status);
    if (isLive && page.cursor < Math.max(wanted, shown)) return; // the database is behind the tail
    if (this.wanted === wanted) this.wanted = 0;
    const history = new History(page);
    for (const form of arrived) history.apply(form);
    history.cursor = Math.max(history.cursor, this.history.cursor);
    this.history = history;
    if (!this.hasMap && page.modules.length) await this.drawMap();
    this.update();
  }

  async drawMap() {
    const figures = await readFigures(this.runId).catch(() => null);
    if (!figures?.rank_map) return;
    this.hasMap = true;
    await this.map.start(figures.rank_map);
  }

  /** What comes only with the page (summary, files) follows a change of status. */
  reloadSoon() {
    window.clearTimeout(this.soon);
    this.soon = window.setTimeout(() => this.reload(), 400);
  }

  /** Ages and times left move on without events. */
  tick() {
    this.header.update(this.history, this.link.connection === 'open');
    this.notices.update(this.history, this.link);
  }

  choose(index) {
    if (index < 0) this.why.update(this.history, this.map.timeline.index);
    else this.map.timeline.choose(index);
  }

  chosen(index, isLive) {
    const address = new URL(window.location.href);
    if (isLive) address.searchParams.delete('step');
    else address.searchParams.set('step', this.history.moments[index].step);
    window.history.replaceState(null, '', address);
    this.why.update(this.history, index);
    this.markChosen();
  }

  markChosen() {
    const { index, isLive } = this.map.timeline;
    this.training.mark(isLive ? null : this.history.moments[index]?.step ?? null);
  }
}

function readPage(runId, after) {
  const query = after ? `?after=${after}` : '';
  return api(`/api/runs/${encodeURIComponent(runId)}/page${query}`);
}

function readFigures(runId) {
  return api(`/api/runs/${encodeURIComponent(runId)}/figures`);
}

function refusal(runId, error) {
  const runs = button('All runs', { href: '/' });
  if (error.status === 404) return h('div', { class: 'screen' }, empty(`There is no run ${runId}`, 'It may have been deleted, or the address is not complete.', runs));
  return h('div', { class: 'screen' }, problem('The run cannot be shown', error.message, runs));
}
