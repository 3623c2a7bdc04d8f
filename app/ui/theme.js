/** Light or dark: the system's choice, or the person's; one class for our look and Gradio's. */

import { button } from './parts.js';
import { icon, replace } from './dom.js';

const KEY = 'rankscope-theme'; // theme-first.js reads it too
const system = window.matchMedia('(prefers-color-scheme: dark)');

let chosenHere = null;

/** Set the theme and keep it, also after Gradio has set its own. */
export function startTheme() {
  apply();
  system.addEventListener('change', apply);
  window.addEventListener('storage', (event) => event.key === KEY && apply());
  new MutationObserver(apply).observe(document.body, { attributes: true, attributeFilter: ['class'] });
}

/**
 * The switch between light and dark.
 * @returns {HTMLElement}
 */
export function themeButton() {
  const element = button('Use the other theme', {
    icon: 'sun',
    kind: 'quiet',
    isIconOnly: true,
    onClick: () => {
      remember(isDark() ? 'light' : 'dark');
      apply();
      show();
    },
  });
  function show() {
    const label = isDark() ? 'Light theme' : 'Dark theme';
    element.setAttribute('aria-label', label);
    element.dataset.tip = label;
    replace(element, icon(isDark() ? 'sun' : 'moon'));
  }
  show();
  window.addEventListener('rankscope-theme', show);
  return element;
}

function isDark() {
  const chosen = recall();
  return chosen ? chosen === 'dark' : system.matches;
}

function apply() {
  const dark = isDark();
  const changes = document.documentElement.classList.contains('dark') !== dark;
  for (const element of [document.documentElement, document.body]) {
    if (element.classList.contains('dark') !== dark) element.classList.toggle('dark', dark);
  }
  if (changes) window.dispatchEvent(new CustomEvent('rankscope-theme', { detail: { dark } }));
}

function recall() {
  try {
    return window.localStorage.getItem(KEY) ?? chosenHere;
  } catch {
    return chosenHere;
  }
}

function remember(theme) {
  chosenHere = theme;
  try {
    window.localStorage.setItem(KEY, theme);
  } catch {
    // storage is switched off: the choice lasts as long as this page
  }
}
