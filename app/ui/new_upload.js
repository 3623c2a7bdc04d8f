/** Sends files to the data root, and names in the form what was sent. */

import { chosen, write } from './new_fields.js';
import { api, format, h, icon, problem, replace } from './ui.js';

/**
 * A part that opens while files are what the data are.
 * @param {HTMLElement} element
 * @returns {{show: () => void, know: (person: object) => void}}
 */
export function uploads(element) {
  const picker = h('input', { type: 'file', multiple: true, id: 'upload-files', onchange: send });
  const folder = h('input', { class: 'input', id: 'upload-folder', type: 'text', maxlength: '120', placeholder: 'none' });
  const limit = h('p', { class: 'muted small' });
  const list = h('ul', { class: 'upload-list', 'aria-live': 'polite' });
  let limits = null;
  let mayOperate = false;
  replace(element, h('details', { class: 'upload' },
    h('summary', null, 'Send files to the server'),
    limit,
    h('div', { class: 'row upload-fields' },
      h('label', { for: 'upload-folder' }, 'Into folder ', folder),
      h('label', { for: 'upload-files' }, 'Files to send ', picker)),
    list));
  element.hidden = true;

  async function send() {
    const files = Array.from(picker.files);
    picker.value = '';
    replace(list);
    let table = '';
    let pictures = '';
    for (const file of files) {
      const line = h('li');
      list.append(line);
      const path = await sendOne(file, line);
      if (path && isOf(limits.tables, file.name)) table = path;
      else if (path) pictures = path.slice(0, path.lastIndexOf('/'));
    }
    if (table) write('data.files.path', table);
    if (pictures) write('data.files.image_root', pictures);
  }

  async function sendOne(file, line) {
    const said = (...content) => replace(line, ...content);
    if (file.size > limits.max_bytes) {
      said(problem(file.name, `A file must not exceed ${format.bytes(limits.max_bytes)}, this has ${format.bytes(file.size)}; split it.`));
      return null;
    }
    const steps = [folder.value.trim(), file.name].filter(Boolean).join('/').split('/');
    try {
      const path = await put(`/api/data/files/${steps.map(encodeURIComponent).join('/')}`, file, (fraction) => (
        said(icon('running', 'spin'), ` ${file.name}: ${format.percent(fraction, 0)} of ${format.bytes(file.size)} sent`)
      ));
      said(icon('done'), ' ', h('code', null, path), ` ${format.bytes(file.size)}`);
      return path;
    } catch (error) {
      said(problem(`${file.name} was not taken`, error.message));
      return null;
    }
  }

  async function show() {
    element.hidden = chosen('data') !== 'files' || !mayOperate;
    if (element.hidden || limits) return;
    limits = { max_bytes: 0, tables: [], pictures: [] };
    limits = await api('/api/data/files').catch(() => limits);
    picker.accept = [...limits.tables, ...limits.pictures].join();
    picker.disabled = !limits.max_bytes;
    limit.textContent = limits.max_bytes
      ? `At most ${format.bytes(limits.max_bytes)} a file: ${[...limits.tables, ...limits.pictures].join(', ')}. Files land below uploads/ of the data root; none is replaced.`
      : 'Sending files is switched off on this server; have them put below the data root.';
  }

  return {
    show,
    know: (person) => {
      mayOperate = person.can_operate;
      show();
    },
  };
}

/** XMLHttpRequest, because fetch does not tell how much was sent. */
function put(address, file, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('PUT', address);
    request.upload.addEventListener('progress', (event) => onProgress(event.loaded / Math.max(1, event.total)));
    request.addEventListener('load', () => {
      const answer = parsed(request.responseText);
      if (request.status === 201) resolve(answer.path);
      else reject(new Error(answer.message ?? `The server answered ${request.status}; try again.`));
    });
    request.addEventListener('error', () => reject(new Error('The connection broke off; send the file again.')));
    request.send(file);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

function isOf(suffixes, name) {
  return suffixes.some((suffix) => name.toLowerCase().endsWith(suffix));
}
