/** Requests to the server: one way to ask, one kind of error, one way to keep asking. */

const TIMEOUT_MS = 15000;

/** A refusal or a failure; `message` is for people, `errors` name fields. */
export class Problem extends Error {
  /**
   * @param {string} message
   * @param {{field: string, message: string}[]} [errors]
   * @param {number} [status] HTTP status; 0 when no answer came.
   */
  constructor(message, errors = [], status = 0) {
    super(message);
    this.errors = errors;
    this.status = status;
  }
}

/**
 * Ask the server and read its JSON.
 * @param {string} path For instance "/api/runs".
 * @param {{method?: string, body?: object, signal?: AbortSignal}} [options]
 * @returns {Promise<any>}
 * @throws {Problem}
 */
export async function api(path, { method = 'GET', body, signal } = {}) {
  const response = await reach(path, method, body, signal);
  const answer = await readJson(response);
  if (response.ok && (answer !== null || response.status === 204)) return answer;
  if (response.ok) throw new Problem('The answer of the server broke off; the page tries again by itself.');
  if (response.status === 401) signIn();
  throw new Problem(
    answer?.message ?? `The server answered ${response.status}; try again.`,
    answer?.errors ?? [],
    response.status,
  );
}

/**
 * Who looks at the page; asked once.
 * @returns {Promise<{name: string, role: string, can_operate: boolean, needs_sign_in: boolean}>}
 */
export function session() {
  asked ??= api('/api/session').catch((error) => {
    asked = null;
    throw error;
  });
  return asked;
}

/**
 * Call a function again and again: not while the tab is hidden, and ever more slowly (up to 8
 * times) while it fails.
 * @param {() => Promise<void>} task
 * @param {number} seconds Pause between calls.
 * @returns {() => void} Stops it.
 */
export function poll(task, seconds) {
  let timer = 0;
  let failures = 0;
  let isStopped = false;
  async function turn() {
    if (isStopped || document.hidden) return;
    try {
      await task();
      failures = 0;
    } catch {
      failures += 1;
    }
    window.clearTimeout(timer);
    const pauseS = seconds * Math.min(8, 2 ** Math.max(0, failures - 2));
    if (!isStopped) timer = window.setTimeout(turn, 1000 * pauseS);
  }
  function wake() {
    window.clearTimeout(timer);
    if (!document.hidden) turn();
  }
  document.addEventListener('visibilitychange', wake);
  turn();
  return () => {
    isStopped = true;
    window.clearTimeout(timer);
    document.removeEventListener('visibilitychange', wake);
  };
}

let asked = null;

async function reach(path, method, body, signal) {
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  try {
    return await fetch(path, {
      method,
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      headers: body === undefined ? {} : { 'Content-Type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: 'same-origin',
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem('The server did not answer; the page tries again by itself.');
  }
}

async function readJson(response) {
  try {
    return await response.json();
  } catch {
    return null;
  }
}

function signIn() {
  const here = window.location.pathname + window.location.search;
  if (window.location.pathname === '/signin') return;
  window.location.assign(`/signin?next=${encodeURIComponent(here)}`);
}
