export function start(element) { element.textContent = 'Workers'; }
