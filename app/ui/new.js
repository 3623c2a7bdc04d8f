export function start(element) { element.textContent = 'New run'; }
