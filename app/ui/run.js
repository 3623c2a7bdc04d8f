export function start(element) { element.textContent = 'Run'; }
