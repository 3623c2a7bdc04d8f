/** The frame of every page: menu, theme switch, person, and what is wrong with the server. */

import { h, icon, replace } from './dom.js';
import { button } from './parts.js';
import { api, poll, session } from './requests.js';
import { startTheme, themeButton } from './theme.js';

const MENU = [
  ['Runs', '/'],
  ['New run', '/new'],
  ['Compare', '/compare'],
  ['Benchmarks', '/benchmarks'],
  ['Workers', '/workers'],
];
const STATUS_S = 2;
/** Workers report every second, and what is shown of it is at most 1.5 s old. */
const SILENT_S = 3;
/** Says a banner once to screen readers, though its count of seconds goes on. */
const spoken = h('div', { class: 'visually-hidden', role: 'status', 'aria-live': 'polite', 'aria-label': 'State of the server' });

startTheme();
if (!document.querySelector('.topbar')) start();

function start() {
  const banners = h('div', { class: 'banners', role: 'region', 'aria-label': 'State of the server', hidden: true });
  const person = h('span', { class: 'row' });
  const bar = h(
    'header',
    { class: 'topbar' },
    h('a', { class: 'button skip', href: '#main' }, 'Skip to content'),
    h(
      'div',
      { class: 'topbar-inner' },
      h('a', { class: 'brand', href: '/' }, mark(), 'Rankscope'),
      h('nav', { class: 'menu', 'aria-label': 'Pages' }, MENU.map(entry)),
      themeButton(),
      person,
    ),
    banners,
    spoken,
  );
  document.body.prepend(bar);
  nameMain();
  if (window.location.pathname === '/signin') return;
  showPerson(person);
  watch(banners);
}

function entry([title, path]) {
  const here = window.location.pathname.replace(/\/$/, '') || '/';
  const isHere = here === path || (path === '/' && here === '/run');
  return h('a', { href: path, 'aria-current': isHere ? 'page' : null }, title);
}

/** The sign: four cells of a rank map. */
function mark() {
  const SVG = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 18 18');
  svg.setAttribute('aria-hidden', 'true');
  const cells = [
    [1, 1, '#fdea45'], [10, 1, '#7c7b78'], [1, 10, '#31446b'],
  ];
  for (const [x, y, fill] of cells) svg.append(rect(x, y, { fill }));
  svg.append(rect(10.75, 10.75, { fill: 'none', stroke: 'currentColor', 'stroke-width': 1.5, size: 5.5 }));
  return svg;

  function rect(x, y, { size = 7, ...attributes }) {
    const element = document.createElementNS(SVG, 'rect');
    const all = { x, y, width: size, height: size, rx: 1.5, ...attributes };
    for (const [name, value] of Object.entries(all)) element.setAttribute(name, value);
    return element;
  }
}

async function showPerson(place) {
  const who = await session().catch(() => null);
  if (!who?.needs_sign_in) return;
  replace(
    place,
    h('span', { class: 'person', title: `${who.name}, ${who.role}` }, who.name),
    button('Sign out', { icon: 'leave', kind: 'quiet', isIconOnly: true, onClick: signOut }),
  );
}

async function signOut() {
  await fetch('/signout', { method: 'POST' }).catch(() => null);
  window.location.assign('/signin');
}

function watch(banners) {
  let failures = 0;
  poll(async () => {
    try {
      show(banners, wrongs(await api('/api/status', { signal: AbortSignal.timeout(2500) })));
      failures = 0;
    } catch (error) {
      if (error.status === 404 || error.status === 401) return;
      failures += 1;
      const text = 'The connection to the server is lost; trying again. Training goes on without it.';
      if (failures > 1) show(banners, [['offline', 'is-bad', text]]);
    }
  }, STATUS_S);
}

function wrongs(status) {
  const found = [];
  if (status.database && !status.database.ok) {
    found.push(['warning', 'is-bad', status.database.message || 'The database does not answer.']);
  }
  if (status.redis && !status.redis.ok) {
    found.push(['warning', '', status.redis.message || 'Redis does not answer; pages update more slowly.']);
  }
  if (status.workers && status.workers.alive === 0) {
    found.push(['warning', '', 'No worker is running; queued runs wait. Start one with: rankscope worker']);
  } else if (status.workers?.youngest_seen_s > SILENT_S) {
    found.push(['warning', '', `No worker reports (the last one ${Math.round(status.workers.youngest_seen_s)} s ago); queued runs may have to wait.`]);
  }
  return found;
}

function show(banners, found) {
  const said = found.map(([, , message]) => message.replace(/ *\([^)]*\d[^)]*\)/, '')).join(' ');
  if (spoken.textContent !== said) spoken.textContent = said;
  banners.hidden = found.length === 0;
  replace(
    banners,
    found.map(([sign, tone, message]) => h('div', { class: `banner ${tone}` }, icon(sign), message)),
  );
}

/** Gradio's main element has no id; the skip link needs one. */
function nameMain() {
  const found = document.querySelector('gradio-app main');
  if (found) {
    found.id = 'main';
    found.tabIndex = -1;
    return;
  }
  const observer = new MutationObserver(() => {
    if (!document.querySelector('gradio-app main')) return;
    observer.disconnect();
    nameMain();
  });
  observer.observe(document.body, { childList: true, subtree: true });
}
