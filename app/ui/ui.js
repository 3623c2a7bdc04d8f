/** What every page draws with: elements, figures as text, status, requests. */

export { api, poll, Problem, session } from './requests.js';
export { h, icon, replace } from './dom.js';
export { format } from './format.js';
export {
  button, copyButton, disable, empty, enable, notice, problem, skeleton, statusChip, ticking,
} from './parts.js';
