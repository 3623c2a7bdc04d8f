export function start(element) { element.textContent = 'Compare'; }
