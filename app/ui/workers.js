/** The page Workers: what trains now, who waits in which order, and who takes the runs. */

import { api, empty, format, h, icon, poll, problem, replace, session, skeleton, statusChip } from './ui.js';
import { morph, onAct } from './morph.js';

const POLL_S = 1.5;
const LEASE_WARNING_S = 5;
const ACTS = new Set(['stop', 'hold', 'release', 'up', 'down', 'first']);

/**
 * Take the page over.
 * @param {HTMLElement} element
 */
export function start(element) {
  const page = new WorkersPage(element);
  page.open();
}

class WorkersPage {
  constructor(element) {
    this.element = element;
    this.canOperate = false;
  }

  async open() {
    this.build();
    this.canOperate = (await session().catch(() => null))?.can_operate ?? false;
    poll(() => this.load(), POLL_S);
  }

  build() {
    const place = (name, height) => {
      this[name] = h('div', null, skeleton(height));
      return this[name];
    };
    this.said = h('p', { class: 'visually-hidden', role: 'status', 'aria-live': 'polite' });
    this.failure = h('div', { class: 'workers-failure' });
    replace(this.element, h('div', { class: 'screen workers-page' },
      place('head', 30), this.failure,
      h('div', { class: 'workers-columns' },
        h('div', { class: 'workers-runs' }, place('running', 160), this.evaluations = h('div', { class: 'workers-evaluations' }), place('queue', 240)),
        place('workers', 240)),
      this.said));
    onAct(this.element, (act, data) => ACTS.has(act) && this.act(act, data.run, data.name));
    this.element.addEventListener('keydown', (event) => this.press(event));
  }

  async load() {
    try {
      this.state = await api('/api/queue');
    } catch (error) {
      morph(this.failure, problem('Queue and workers are not up to date', error.message));
      this.isFailing = true;
      throw error;
    }
    if (this.isFailing) morph(this.failure);
    this.isFailing = false;
    this.show();
  }

  show() {
    const { queued, running, evaluations, workers } = this.state;
    const alive = workers.filter((worker) => worker.is_alive);
    const slots = alive.reduce((sum, worker) => sum + worker.num_slots, 0);
    const busy = alive.reduce((sum, worker) => sum + worker.num_busy, 0);
    morph(this.head, h('div', { class: 'row' }, h('h1', null, 'Workers'),
      h('span', { class: 'muted num' }, `${busy} of ${slots} slot${slots === 1 ? '' : 's'} busy, ${queued.length} waiting`)));
    morph(this.running, this.runningCard(running, workers));
    morph(this.evaluations, evaluations.length > 0 && evaluationsCard(evaluations));
    morph(this.queue, this.queueCard(queued, alive.length > 0));
    morph(this.workers, workersCard(workers));
  }

  runningCard(runs, workers) {
    const hosts = new Map(workers.map((worker) => [worker.id, worker]));
    const now = Date.now() / 1000;
    return h('section', { class: 'card', 'aria-labelledby': 'running-title' },
      h('h2', { id: 'running-title' }, 'Training now'),
      runs.length === 0
        ? h('p', { class: 'muted workers-none' }, 'No run is training.')
        : h('ul', { class: 'workers-list' }, runs.map((run) => h('li', { 'data-key': run.id, class: 'running-run' },
          h('div', { class: 'run-what' }, runLink(run), h('span', { class: 'muted' }, facts(run))),
          h('div', { class: 'run-state' }, statusChip(run.status, run.status_reason), progress(run)),
          h('div', { class: 'muted small run-where' }, where(run, hosts.get(run.worker_id)), ' · ', lease(run, now)),
          this.canOperate && h('div', { class: 'run-actions' },
            actButton('stop', run, 'stop', 'Stop', `Stop ${named(run)}; it can be resumed`, true))))));
  }

  queueCard(runs, hasWorkers) {
    return h('section', { class: 'card', 'aria-labelledby': 'queue-title' },
      h('div', { class: 'toolbar' }, h('h2', { id: 'queue-title' }, 'Queue'),
        this.canOperate && runs.length > 1 && h('span', { class: 'muted small workers-keys' }, h('kbd', null, 'Alt'), ' ', h('kbd', null, '↑'), ' ', h('kbd', null, '↓'), ' moves the run that has the focus')),
      runs.length === 0
        ? empty('Nobody waits', 'Launched runs stand here until a worker has a free slot.', h('a', { class: 'button', href: '/new' }, icon('plus'), 'New run'))
        : h('ol', { class: 'workers-list', 'aria-label': 'Waiting runs, the next first' }, runs.map((run, index) =>
          h('li', { 'data-key': run.id, class: `queued-run${run.is_held ? ' is-held' : ''}` },
            h('span', { class: 'place num muted', 'aria-hidden': 'true' }, String(index + 1)),
            h('div', { class: 'run-what' }, runLink(run), h('span', { class: 'muted' }, facts(run)),
              run.is_held && statusChip('held', 'released by hand'),
              run.num_requeues > 0 && h('span', { class: 'chip chip-warn', title: run.status_reason }, `try ${run.num_requeues + 1}`)),
            h('div', { class: 'muted small run-where' }, `${run.owner}, waiting `, h('span', { class: 'num' }, format.ago(run.created_at).replace(' ago', '')), !hasWorkers && index === 0 && ' for a worker'),
            this.canOperate && h('div', { class: 'run-actions' },
              actButton('first', run, 'first', 'Move first', `Move ${named(run)} first`, false, index === 0),
              actButton('up', run, 'up', 'Move up', `Move ${named(run)} up`, false, index === 0),
              actButton('down', run, 'down', 'Move down', `Move ${named(run)} down`, false, index === runs.length - 1),
              run.is_held
                ? actButton('release', run, 'play', 'Release', `Release ${named(run)}`, true)
                : actButton('hold', run, 'paused', 'Hold', `Hold ${named(run)} back`, true),
              actButton('stop', run, 'close', 'Cancel', `Cancel ${named(run)}; it can be resumed`, true))))));
  }

  async act(act, id, name) {
    try {
      await api(`/api/runs/${encodeURIComponent(id)}/${act}`, { method: 'POST', body: {} });
      morph(this.failure);
      await this.load();
      this.said.textContent = this.told(act, id, name);
    } catch (error) {
      morph(this.failure, problem(`${name} was not changed`, error.message));
      await this.load().catch(() => null);
    }
  }

  told(act, id, name) {
    const place = this.state.queued.findIndex((run) => run.id === id) + 1;
    const words = { stop: 'stopped', hold: 'held back', release: 'released' };
    return words[act] ? `${name} is ${words[act]}` : `${name} is now number ${place} in the queue`;
  }

  press(event) {
    const acts = { ArrowUp: 'up', ArrowDown: 'down', Home: 'first' };
    const row = event.target.closest('.queued-run');
    if (!event.altKey || !row || !(event.key in acts) || !this.canOperate) return;
    event.preventDefault();
    const run = this.state.queued.find((one) => one.id === row.dataset.key);
    if (run) this.act(acts[event.key], run.id, named(run));
  }
}

/** Evaluations wait among the runs, by priority and age; their own page has the rest. */
function evaluationsCard(evaluations) {
  return h('section', { class: 'card', 'aria-labelledby': 'evaluations-title' },
    h('h2', { id: 'evaluations-title' }, 'Evaluations'),
    h('ul', { class: 'workers-list' }, evaluations.map((one) => h('li', { 'data-key': one.id, class: 'running-run' },
      h('div', { class: 'run-what' }, h('a', { class: 'runs-name', href: `/benchmarks?id=${encodeURIComponent(one.id)}` }, one.title), h('span', { class: 'muted' }, one.benchmark)),
      h('div', { class: 'run-state' }, statusChip(one.status, one.status_reason), progress({ step: one.num_answered, num_steps: one.num_items })),
      h('div', { class: 'muted small run-where' }, one.status === 'queued' ? `${one.owner}, waiting ${format.ago(one.created_at).replace(' ago', '')}` : `pid ${one.process_pid ?? '–'}`)))));
}

function workersCard(workers) {
  return h('section', { class: 'card', 'aria-labelledby': 'workers-title' },
    h('h2', { id: 'workers-title' }, 'Workers'),
    workers.length === 0
      ? empty('No worker has been seen', 'Runs wait until one is started, on this machine or on another with the same database and Redis.', h('code', { class: 'command' }, 'rankscope worker'))
      : h('ul', { class: 'workers-list' }, workers.map(workerItem)));
}

function workerItem(worker) {
  const used = worker.memory_bytes ? worker.memory_used_bytes / worker.memory_bytes : null;
  return h('li', { 'data-key': worker.id, class: `worker${worker.is_alive ? '' : ' is-dead'}` },
    h('div', { class: 'toolbar' },
      h('strong', { title: worker.id }, worker.host, h('span', { class: 'muted' }, `  pid ${worker.pid}`)),
      worker.is_alive
        ? h('span', { class: 'chip chip-good' }, icon('check'), 'alive')
        : h('span', { class: 'chip chip-bad' }, icon('lost'), 'not answering')),
    h('dl', { class: 'facts' },
      fact('Heartbeat', h('span', { class: worker.is_alive ? null : 'is-bad' }, `${seconds(worker.seen_s)} ago`)),
      fact('Slots', slots(worker)),
      fact('Device', worker.device || '–'),
      fact('Memory', used === null ? '–' : [meter(used), `${format.bytes(worker.memory_used_bytes)} of ${format.bytes(worker.memory_bytes)}`]),
      fact(worker.queues.length === 1 ? 'Queue' : 'Queues', worker.queues.join(', ')),
      fact('Version', worker.version || '–')),
    !worker.is_alive && h('p', { class: 'muted small' }, 'Its runs go back to the queue when their leases end, and go on from their last checkpoints.'));
}

function fact(name, value) {
  return [h('dt', null, name), h('dd', null, value)];
}

function slots(worker) {
  return h('span', { class: 'slots' },
    h('span', { class: 'slot-row', 'aria-hidden': 'true' }, Array.from({ length: Math.min(16, worker.num_slots) }, (_, index) =>
      h('i', { class: index < worker.num_busy ? 'is-busy' : null }))),
    h('span', { class: 'num' }, `${worker.num_busy} of ${worker.num_slots} busy`));
}

function meter(fraction) {
  return h('span', { class: 'bar', 'aria-hidden': 'true' }, h('span', { style: { width: `${(100 * fraction).toFixed(0)}%` } }));
}

function progress(run) {
  const done = run.num_steps ? run.step / run.num_steps : 0;
  return [
    h('span', { class: 'bar', role: 'progressbar', 'aria-label': 'Progress', 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-valuenow': Math.round(100 * done) },
      h('span', { style: { width: `${(100 * done).toFixed(1)}%` } })),
    h('span', { class: 'num muted small' }, `${format.count(run.step)} / ${format.count(run.num_steps)}`),
  ];
}

function where(run, worker) {
  if (worker) return `on ${worker.host}, pid ${worker.pid}`;
  return run.origin === 'queue' ? 'on a worker that is gone' : 'outside the queue';
}

/** A lease is renewed every few seconds; an old one means that its process is gone or stuck. */
function lease(run, now) {
  if (!run.lease_until) return 'no lease yet';
  const left = run.lease_until - now;
  if (left < 0) return h('span', { class: 'is-bad' }, `lease ended ${format.ago(run.lease_until, now)}`);
  return h('span', { class: left < LEASE_WARNING_S ? 'is-warn num' : 'num' }, `lease ${seconds(left)}`);
}

/** Whole seconds; tenths would only flicker. */
function seconds(value) {
  return value < 60 ? `${Math.round(value)}\u202fs` : format.duration(value);
}

function runLink(run) {
  return h('a', { class: 'runs-name', href: `/run?run=${encodeURIComponent(run.id)}` }, run.name || run.id);
}

function facts(run) {
  return `${run.scheduler}, seed ${run.seed}`;
}

function named(run) {
  return `${run.name || run.id} ${run.scheduler} seed ${run.seed}`;
}

/** A button that keeps its place when it has nothing to do, so that its neighbours do not move. */
function actButton(act, run, sign, label, name, hasLabel, isOff = false) {
  return h('button', {
    type: 'button', class: `button button-quiet${hasLabel ? '' : ' button-icon'}`, 'data-act': act, 'data-key': act,
    'data-run': run.id, 'data-name': named(run), 'aria-label': name, title: name, 'aria-disabled': isOff ? 'true' : null,
  }, icon(sign), hasLabel && label);
}
