/** Runs before the first paint, so that a dark page never flashes white; theme.js does the rest. */

(() => {
  let chosen = null;
  try {
    chosen = window.localStorage.getItem('rankscope-theme');
  } catch {
    // storage is switched off: the system's choice
  }
  const isDark = chosen ? chosen === 'dark' : window.matchMedia('(prefers-color-scheme: dark)').matches;
  document.documentElement.classList.toggle('dark', isDark);
})();
