/** Figures as people read them: thin thousands, units, one meaning of a dash. */

const DASH = '–';
const THIN = '\u202f';

/** How figures are written on every page; null, undefined and NaN give a dash. */
export const format = {
  count, percent, duration, ago, bytes, rank, interval, number, clock, params, rate, signed,
};

/**
 * Whole number with thousands: 13,056.
 * @param {number|null|undefined} value
 * @returns {string}
 */
export function count(value) {
  return isKnown(value) ? Math.round(value).toLocaleString('en-US') : DASH;
}

/** Parameters with their unit: "13,056 parameters". */
export function params(value) {
  return isKnown(value) ? `${count(value)} parameter${value === 1 ? '' : 's'}` : DASH;
}

/**
 * Fraction as percent: 0.745 -> "74.5 %".
 * @param {number|null|undefined} fraction
 * @param {number} [digits]
 * @returns {string}
 */
export function percent(fraction, digits = 1) {
  return isKnown(fraction) ? `${(100 * fraction).toFixed(digits)}${THIN}%` : DASH;
}

/**
 * Accuracy with its interval: "74.5 % [71.2, 77.6]", ends in percent.
 * @param {number|null} mean Fraction.
 * @param {number|null} [low] Fraction.
 * @param {number|null} [high] Fraction.
 * @returns {string}
 */
export function interval(mean, low, high) {
  if (!isKnown(mean)) return DASH;
  if (!isKnown(low) || !isKnown(high)) return percent(mean);
  return `${percent(mean)} [${(100 * low).toFixed(1)}, ${(100 * high).toFixed(1)}]`;
}

/**
 * Seconds as people say them: "0.4 s", "41 s", "3 min 05 s", "2 h 10 min", "3 d 4 h".
 * @param {number|null|undefined} seconds
 * @returns {string}
 */
export function duration(seconds) {
  if (!isKnown(seconds)) return DASH;
  const whole = Math.round(Math.max(0, seconds));
  if (seconds < 9.95) return `${Math.max(0, seconds).toFixed(1)}${THIN}s`;
  if (whole < 60) return `${whole}${THIN}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}${THIN}min ${two(whole % 60)}${THIN}s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)}${THIN}h ${two(Math.floor((whole % 3600) / 60))}${THIN}min`;
  return `${Math.floor(whole / 86400)}${THIN}d ${Math.floor((whole % 86400) / 3600)}${THIN}h`;
}

/** Seconds as a clock for an ETA: "0:41", "12:05", "2:03:10". */
export function clock(seconds) {
  if (!isKnown(seconds)) return DASH;
  const whole = Math.round(Math.max(0, seconds));
  const rest = `${two(Math.floor((whole % 3600) / 60))}:${two(whole % 60)}`;
  return whole >= 3600 ? `${Math.floor(whole / 3600)}:${rest}` : rest.replace(/^0/, '');
}

/**
 * How long ago: "now", "12 s ago", "5 min ago", "3 h ago", "2 d ago".
 * @param {number|null|undefined} epochS Seconds since the epoch.
 * @param {number} [nowS] The server's now, where it is known.
 * @returns {string}
 */
export function ago(epochS, nowS = Date.now() / 1000) {
  if (!isKnown(epochS)) return DASH;
  const age = Math.max(0, nowS - epochS);
  if (age < 2) return 'now';
  if (age < 60) return `${Math.round(age)}${THIN}s ago`;
  if (age < 3600) return `${Math.round(age / 60)}${THIN}min ago`;
  if (age < 86400) return `${Math.round(age / 3600)}${THIN}h ago`;
  return `${Math.round(age / 86400)}${THIN}d ago`;
}

/** Bytes in powers of ten: "418 B", "52.2 kB", "1.3 MB". */
export function bytes(value) {
  if (!isKnown(value)) return DASH;
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let scaled = value;
  let unit = 0;
  while (scaled >= 999.5 && unit < units.length - 1) {
    scaled /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? scaled : scaled.toPrecision(3)}${THIN}${units[unit]}`;
}

/** A rank; 0 is said in words, because "no adapter" is not a small adapter. */
export function rank(value) {
  if (!isKnown(value)) return DASH;
  return value === 0 ? '0 (no adapter)' : String(value);
}

/** A measured number with three significant digits: 0.0312, 1.24, 1.5e-5. */
export function number(value, digits = 3) {
  if (!isKnown(value)) return DASH;
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e6) return value.toExponential(digits - 1).replace('e+', 'e');
  return Number(value.toPrecision(digits)).toLocaleString('en-US', { maximumFractionDigits: 6 });
}

/** A number with its sign: "+0.031", "−0.004". */
export function signed(value, digits = 3) {
  if (!isKnown(value)) return DASH;
  return `${value < 0 ? '−' : '+'}${number(Math.abs(value), digits)}`;
}

/** Steps per second, or per minute where they are slow: "6.1 steps/s". */
export function rate(stepsPerS) {
  if (!isKnown(stepsPerS) || stepsPerS <= 0) return DASH;
  if (stepsPerS < 0.5) return `${(60 * stepsPerS).toPrecision(2)} steps/min`;
  return `${stepsPerS >= 100 ? Math.round(stepsPerS) : stepsPerS.toPrecision(2)} steps/s`;
}

function isKnown(value) {
  return typeof value === 'number' && Number.isFinite(value);
}

function two(value) {
  return String(value).padStart(2, '0');
}
