export function start(element) { element.textContent = 'Runs'; }
