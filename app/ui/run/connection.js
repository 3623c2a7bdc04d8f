/** The live tail of a run over a WebSocket: it reconnects by itself and says how it stands. */

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 5000;
const SILENCE_MS = 7000; // the server says something every 2 s
const REFUSALS = { 4401: 'sign-in', 4403: 'foreign', 4404: 'unknown' };

/**
 * Follow a run.
 * @param {string} runId
 * @param {object} handlers
 * @param {() => number} handlers.cursor Id of the last event that is known.
 * @param {(events: object[], to: number) => void} handlers.onEvents
 * @param {(after: number) => void} handlers.onReload What is known has a gap.
 * @param {(beat: object) => void} handlers.onBeat
 * @param {(state: 'open'|'lost'|'sign-in'|'foreign'|'unknown') => void} handlers.onState
 * @returns {{close: () => void}}
 */
export function follow(runId, handlers) {
  let socket = null;
  let pauseMs = FIRST_PAUSE_MS;
  let timer = 0;
  let silence = 0;
  let isClosed = false;

  function connect() {
    window.clearTimeout(timer);
    if (isClosed) return;
    const scheme = window.location.protocol === 'https:' ? 'wss' : 'ws';
    const query = new URLSearchParams({ run: runId, from: String(handlers.cursor()) });
    socket = new WebSocket(`${scheme}://${window.location.host}/live?${query}`);
    socket.addEventListener('message', heard);
    socket.addEventListener('close', ended);
    listen();
  }

  function heard({ data }) {
    listen();
    pauseMs = FIRST_PAUSE_MS;
    handlers.onState('open');
    const message = JSON.parse(data);
    if (message.t === 'events') handlers.onEvents(message.events, message.to);
    else if (message.t === 'reload') handlers.onReload(message.after);
    else if (message.t === 'beat') handlers.onBeat(message);
  }

  function ended({ code }) {
    window.clearTimeout(silence);
    if (isClosed) return;
    const refusal = REFUSALS[code];
    handlers.onState(refusal ?? 'lost');
    if (refusal) return;
    timer = window.setTimeout(connect, pauseMs * (0.7 + 0.6 * Math.random())); // not all at once
    pauseMs = Math.min(LONGEST_PAUSE_MS, 1.7 * pauseMs);
  }

  /** A dead network closes nothing by itself. */
  function listen() {
    window.clearTimeout(silence);
    silence = window.setTimeout(() => {
      socket.removeEventListener('close', ended);
      socket.close();
      ended({ code: 1006 });
    }, SILENCE_MS);
  }

  function atOnce() {
    if (socket?.readyState === WebSocket.CLOSED) connect();
  }

  window.addEventListener('online', atOnce);
  connect();
  return {
    close() {
      isClosed = true;
      window.removeEventListener('online', atOnce);
      window.clearTimeout(timer);
      window.clearTimeout(silence);
      socket?.close();
    },
  };
}
