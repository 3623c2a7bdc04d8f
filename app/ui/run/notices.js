/** The line that says what is unusual: waiting, silent, disconnected, failed, stopped. */

import { api, format, h, notice, problem, replace } from '../ui.js';

const SILENT_S = 10;

/** One place above the picture; empty while all is well. */
export class Notices {
  /** @param {string|null} otherVersion What a run of another version is told to people. */
  constructor(otherVersion) {
    this.otherVersion = otherVersion;
    this.element = h('div', { class: 'run-notices', 'aria-live': 'polite' });
    this.shown = '';
    this.place = null;
  }

  /**
   * @param {import('./history.js').History} history
   * @param {{connection: string, lostAt: number|null, beat: object|null}} link
   */
  update(history, link) {
    const found = [
      this.otherVersion && calm('Recorded by another version', this.otherVersion),
      connectionNotice(history, link),
      this.runNotice(history, link),
      schedulerNotice(history),
    ].filter(Boolean);
    const text = JSON.stringify(found);
    if (text === this.shown) return; // not read out again
    this.shown = text;
    replace(this.element, found.map(({ kind, words }) => (
      kind === 'problem' ? problem(...words) : notice(words[0], words[1], words[2], kind)
    )));
  }

  runNotice(history, link) {
    const { run } = history;
    if (run.status === 'queued') return this.queued(history);
    this.place = null;
    if (isExternal(run)) return externalNotice(history, link);
    if (run.status === 'starting') {
      return calm('Starting', `${run.worker_id ? `Worker ${run.worker_id}` : 'A worker'} builds the model and the data; the first step follows in some seconds.`);
    }
    if (run.status === 'running') return silent(history, link);
    return endNotice(history);
  }

  /** Where the run stands in line is asked from time to time. */
  queued(history) {
    const { run } = history;
    this.askQueue(run.id);
    const from = history.lastCheckpoint();
    const on = from ? ` It goes on from the checkpoint at step ${from.step}.` : '';
    const why = run.status_reason ? `${run.status_reason}.` : '';
    if (run.is_held) return calm('Held in the queue', `${why}${on}`, 'Release it on the page Workers.');
    const line = this.place ? `Number ${this.place.position} of ${this.place.total} in the queue` : 'Waiting in the queue';
    const idle = this.place && !this.place.numWorkers;
    const wait = idle ? 'No worker is running.' : 'It starts as soon as a worker has a free slot.';
    const remedy = idle ? 'Start one with: rankscope worker' : '';
    return { kind: idle ? 'warn' : 'calm', words: [line, `${why} ${wait}${on}`.trim(), remedy] };
  }

  async askQueue(runId) {
    if (this.askedAt && Date.now() - this.askedAt < 3000) return;
    this.askedAt = Date.now();
    const queue = await api('/api/queue').catch(() => null);
    const index = queue?.queued.findIndex((row) => row.id === runId) ?? -1;
    if (index < 0) return;
    const numWorkers = queue.workers.filter((worker) => worker.is_alive).length;
    this.place = { position: index + 1, total: queue.queued.length, numWorkers };
  }
}

function connectionNotice(history, link) {
  if (link.connection === 'lost') {
    const since = new Date(1000 * (link.lostAt ?? 0)).toLocaleTimeString();
    return { kind: 'warn', words: ['Connection lost; trying again', `The picture is as of ${since}. Training goes on without this page.`] };
  }
  if (link.connection === 'foreign') {
    return { kind: 'problem', words: ['Live updates are refused', 'This page was opened under an address that the server does not take for its own.', 'Open it under the address that the server printed.'] };
  }
  return null;
}

/** Silence is told against the pace of the run: a slow step is no reason to worry. */
function silent(history, link) {
  if (link.connection !== 'open' || history.lastEventAt === null) return null;
  const silentS = history.now() - history.lastEventAt;
  const stepS = history.metrics.step_s.at(-1) ?? 1;
  if (silentS < Math.max(SILENT_S, 8 * stepS)) return null;
  const seen = link.beat?.worker_seen_s;
  const worker = seen === null || seen === undefined ? '' : `; worker last seen ${format.duration(seen)} ago`;
  const lease = history.run.lease_until;
  const over = lease !== null && lease < history.now();
  const remedy = over && !isExternal(history.run) ? 'Its lease is over: it goes back to the queue by itself, from its last checkpoint.' : '';
  return { kind: 'warn', words: [`No event for ${format.duration(silentS)}${worker}`, 'It may be scoring or measuring; the picture is as of the last event.', remedy] };
}

/** A run of somebody's own script: nothing here can start or mend it. */
function externalNotice(history, link) {
  const { run } = history;
  const at = `at step ${format.count(run.step)}`;
  if (run.status === 'starting') return calm('Attached', 'Its own script has not begun to train yet.');
  if (run.status === 'running') return silent(history, link);
  if (run.status === 'failed') return { kind: 'problem', words: [`Failed ${at}: ${run.status_reason || 'no reason was given'}`, 'Its own script trained it.', 'Mend the cause and start the script again.'] };
  if (run.status === 'lost') return { kind: 'problem', words: [`Lost ${at}: its own script is silent`, run.status_reason, 'If the script still runs, it goes on here as soon as it gets through.'] };
  if (run.status === 'stopped') return calm(`Stopped ${at} of ${format.count(run.num_steps)}`, run.status_reason);
  return null;
}

function isExternal(run) {
  return run.config?.kind === 'external';
}

function endNotice(history) {
  const { run } = history;
  const from = history.lastCheckpoint();
  const kept = from
    ? `The last good checkpoint is of step ${format.count(from.step)} (${format.bytes(from.size_bytes)}).`
    : 'No checkpoint was saved.';
  const onward = from
    ? `Mend the cause, then Resume: it goes on from step ${format.count(from.step)}.`
    : 'Mend the cause, then Clone it and launch it again.';
  if (run.status === 'failed') return { kind: 'problem', words: [`Failed at step ${format.count(run.step)}: ${run.status_reason || 'no reason was recorded'}`, kept, `${onward} The log below has the details.`] };
  if (run.status === 'lost') return { kind: 'problem', words: ['Lost: the process that trained it is gone', run.status_reason || kept, onward] };
  if (run.status === 'stopped') return calm(`Stopped at step ${format.count(run.step)} of ${format.count(run.num_steps)}`, [run.status_reason, kept].filter(Boolean).join('. ').replace('..', '.'), from ? 'Resume goes on from there.' : 'Clone it to start anew.');
  if (run.status === 'paused') return calm(`Paused at step ${format.count(run.step)}`, run.status_reason);
  return null;
}

/** Training never ends for it, so it has to be said apart. */
function schedulerNotice(history) {
  const failed = history.moments.find((moment) => moment.decided?.kind === 'failed');
  if (!failed) return null;
  return { kind: 'warn', words: [`The scheduler failed at step ${format.count(failed.step)}`, `${failed.decided.reason}.`, 'Training goes on with the ranks as they are, and the scheduler is not asked again. The log below has the details.'] };
}

function calm(title, message = '', remedy = '') {
  return { kind: 'calm', words: [title, message, remedy] };
}
