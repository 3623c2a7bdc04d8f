/** What a run would cost: parameters, memory, length of rows, time and disk, each with its basis. */

import { format, h, notice } from './ui.js';

const HOW = { adapters: 'adapters', full: 'in full', frozen: 'frozen' };
const SUMS = {
  base_weights_bytes: 'weights',
  weight_copies_bytes: 'copies of weights',
  adapters_bytes: 'adapters',
  gradients_bytes: 'gradients',
  optimizer_bytes: 'optimizer',
  allocator_bytes: 'freed but kept',
  libraries_bytes: 'libraries',
};

/**
 * Rows of facts: name, value, basis.
 * @param {object} cost The server's estimate.
 * @returns {Array<Array>}
 */
export function costRows(cost) {
  return [trained(cost), memory(cost), lengths(cost), time(cost), disk(cost)].filter(Boolean);
}

/**
 * What speaks against the launch on this machine.
 * @param {object} cost
 * @returns {HTMLElement[]}
 */
export function costWarnings(cost) {
  return cost.warnings.map((text) => {
    const [rule, ...remedy] = text.split('; ');
    return notice(sentence(rule), '', sentence(remedy.join('; ')));
  });
}

function trained({ parts, trainable_params: number, whole_params: whole }) {
  const told = Object.entries(parts).map(([part, one]) =>
    one.how === 'frozen' ? `${part} frozen` : `${part} ${HOW[one.how]} ${format.count(one.trainable_params)}`,
  );
  return ['Trained', `${format.count(number)} of ${format.params(whole)}`, told.join(', ')];
}

function memory({ memory: sums, machine, fit, num_processes: num }) {
  const moving =
    sums.scoring_bytes > sums.activations_bytes
      ? `${format.bytes(sums.scoring_bytes)} while scoring (${format.bytes(sums.activations_bytes)} of activations in a step)`
      : `activations ${format.bytes(sums.activations_bytes)}`;
  const fixed = Object.entries(SUMS).filter(([key]) => sums[key] > 0);
  const told = fixed.map(([key, name]) => `${name} ${format.bytes(sums[key])}`);
  const value = `about ${format.bytes(sums.total_bytes)} of ${format.bytes(machine.memory_bytes)}`;
  const state = { fits: '', tight: 'chip-warn', too_large: 'chip-bad' }[fit];
  const word = { tight: 'tight', too_large: 'does not fit' }[fit];
  return [
    'Memory',
    state ? h('span', { class: 'row' }, value, h('span', { class: `chip ${state}` }, word)) : value,
    `${machine.name}${num > 1 ? `, each of ${num} processes` : ''}: ${told.join(', ')}, ${moving}`,
  ];
}

function lengths({ lengths: rows }) {
  if (!rows) return null;
  const { typical_tokens: typical, longest_tokens: longest } = rows;
  const value = typical === longest ? format.count(longest) : `${format.count(typical)} to ${format.count(longest)}`;
  return ['Rows', `${value} tokens`, rows.basis];
}

function time({ time: told }) {
  if (!told) return ['Time', 'not known', 'no recorded run like it, and the sizes of the model are not known'];
  const parts = [`a step ${span(told.step_s)}`];
  if (told.scores_s?.high) parts.push(`scores ${span(told.scores_s)}`);
  if (told.measurements_s?.high) parts.push(`measurements ${span(told.measurements_s)}`);
  return ['Time', `${span(told.total_s)} per run`, `${parts.join(', ')}; ${told.basis}`];
}

function disk({ disk: sums }) {
  return [
    'Disk',
    format.bytes(sums.total_bytes),
    `checkpoints of ${format.bytes(sums.checkpoint_bytes)} (${sums.num_checkpoints} kept, one more being written), ` +
      `adapter ${format.bytes(sums.adapter_bytes)}, database about ${format.bytes(sums.database_bytes)}` +
      (sums.features_bytes ? `, features of pictures ${format.bytes(sums.features_bytes)}` : ''),
  ];
}

function span({ low, high }) {
  const [from, to] = [low, high].map((seconds) => (seconds < 0.95 ? `${format.number(seconds, 2)}\u202fs` : format.duration(seconds)));
  return from === to ? `about ${from}` : `${from} to ${to}`;
}

function sentence(text) {
  return text ? `${text[0].toUpperCase()}${text.slice(1)}` : '';
}
