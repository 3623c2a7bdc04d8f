/** The small language of the search box: `scheduler=hydra budget<200k status=running,queued words`. */

/** Key -> [kind of value, the run's value]; what the box explains and accepts. */
export const KEYS = {
  status: ['word', (run) => [run.status, run.is_held ? 'held' : '', OPEN.has(run.status) ? 'open' : 'ended']],
  scheduler: ['word', (run) => [run.scheduler]],
  data: ['word', (run) => [run.data]],
  model: ['word', (run) => [run.model]],
  owner: ['word', (run) => [run.owner]],
  tag: ['word', (run) => run.tags],
  name: ['word', (run) => [run.name]],
  id: ['word', (run) => [run.id]],
  origin: ['word', (run) => [run.origin]],
  seed: ['number', (run) => run.seed],
  budget: ['number', (run) => run.budget_params],
  live: ['number', (run) => run.max_live_params],
  step: ['number', (run) => run.step],
  score: ['number', (run) => (run.accuracy === null ? null : 100 * run.accuracy)],
  age: ['number', (run, now) => now - run.created_at],
};

export const OPEN = new Set(['queued', 'starting', 'running', 'paused']);

const FACTORS = { '': 1, '%': 1, k: 1e3, m: 1e6, g: 1e9 };
const SECONDS = { s: 1, min: 60, h: 3600, d: 86400, w: 604800 };
const TOKEN = /(?:[^\s"]|"[^"]*"?)+/g;
const CONDITION = /^([a-z_]+)(!=|<=|>=|=|<|>)(.*)$/i;

/**
 * Read a search.
 * @param {string} text What a person typed.
 * @returns {{matches: (run: object, now: number) => boolean, problems: string[]}} Conditions are
 *   joined by "and", commas within a value by "or"; what cannot be read is said and left out.
 */
export function parseFilter(text) {
  const problems = [];
  const conditions = [];
  for (const token of text.match(TOKEN) ?? []) {
    const parts = token.match(CONDITION);
    const condition = parts
      ? readCondition(parts[1].toLowerCase(), parts[2], unquoted(parts[3]), problems)
      : hasWord(unquoted(token).toLowerCase());
    if (condition) conditions.push(condition);
  }
  return { matches: (run, now) => conditions.every((one) => one(run, now)), problems };
}

function readCondition(key, sign, value, problems) {
  if (!(key in KEYS)) {
    problems.push(`A key must be one of ${Object.keys(KEYS).join(', ')}; got "${key}".`);
    return null;
  }
  if (!value) return null; // still being typed
  const [kind, of] = KEYS[key];
  if (kind === 'word') {
    if (sign !== '=' && sign !== '!=') {
      problems.push(`${key} holds words: write ${key}=${value} or ${key}!=${value}.`);
      return null;
    }
    const wanted = value.toLowerCase().split(',').filter(Boolean);
    const isAny = (run) => of(run).some((have) => fits(key, String(have ?? '').toLowerCase(), wanted));
    return sign === '=' ? isAny : (run) => !isAny(run);
  }
  const bounds = value.split(',').filter(Boolean).map((one) => readNumber(key, one));
  if (bounds.some((bound) => bound === null)) {
    const example = key === 'age' ? '2h or 3d' : key === 'score' ? '75 or 75%' : '13056 or 200k';
    problems.push(`${key} holds numbers: write ${key}<${example}; got "${value}".`);
    return null;
  }
  return (run, now) => {
    const have = of(run, now);
    if (have === null || have === undefined) return false;
    return sign === '!='
      ? bounds.every((bound) => have !== bound)
      : bounds.some((bound) => compare(have, sign, bound, key === 'score' ? 0.05 : 0));
  };
}

function readNumber(key, text) {
  const parts = text.toLowerCase().replaceAll('_', '').match(/^(-?\d*\.?\d+)\s*([a-z%]*)$/);
  const factor = parts && (key === 'age' ? SECONDS[parts[2]] : FACTORS[parts[2]]);
  return factor === undefined || factor === null ? null : Number(parts[1]) * factor;
}

/** Scores are read with one decimal, so equal to that is equal. */
function compare(have, sign, bound, tolerance) {
  switch (sign) {
    case '<': return have < bound;
    case '<=': return have <= bound;
    case '>': return have > bound;
    case '>=': return have >= bound;
    default: return Math.abs(have - bound) <= tolerance;
  }
}

function fits(key, have, wanted) {
  const isFree = ['name', 'id', 'model', 'data'].includes(key);
  return wanted.some((word) => (isFree ? have.includes(word) : have === word));
}

function hasWord(word) {
  return (run) =>
    [run.name, run.id, run.scheduler, run.data, run.owner, run.status, ...(run.tags ?? [])]
      .some((have) => String(have ?? '').toLowerCase().includes(word));
}

function unquoted(text) {
  return text.replaceAll('"', '');
}
