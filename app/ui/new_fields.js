/** Fields of the form as the page has them: problems beside them, parts that fold. */

/**
 * Make folds open, and say to keyboards and screen readers what Gradio leaves out.
 */
export function prepareFields() {
  document.addEventListener('click', (event) => {
    const head = event.target.closest?.('.fold-button');
    if (head) toggle(head.closest('.fold'));
  });
  for (const input of document.querySelectorAll('.is-number input')) input.inputMode = 'decimal';
  for (const field of document.querySelectorAll('.new-form [id^="field-"]')) describe(field);
}

/**
 * Show what is wrong beside the fields, and nothing beside the others.
 * @param {Object<string, string[]>} problems By the key of a field.
 */
export function showProblems(problems) {
  for (const told of document.querySelectorAll('.field-problem')) {
    if (!(told.dataset.key in problems)) clear(told);
  }
  for (const [key, messages] of Object.entries(problems)) tell(key, messages);
}

/**
 * Go to a field, through the fold that it may be in.
 * @param {string} key
 */
export function focusField(key) {
  const field = fieldOf(key);
  const fold = field?.closest('.fold');
  if (fold) toggle(fold, true);
  field?.querySelector('input:checked, input, textarea')?.focus();
}

/**
 * Write into a text field, as if somebody had typed; never into the one that is being typed in.
 * @param {string} key
 * @param {string} text
 */
export function write(key, text) {
  const input = fieldOf(key)?.querySelector('input');
  if (!input || input.value === text || input === document.activeElement) return;
  input.value = text;
  input.dispatchEvent(new Event('input', { bubbles: true }));
}

/**
 * What is chosen among kinds.
 * @param {string} key
 * @returns {string|undefined}
 */
export function chosen(key) {
  return fieldOf(key)?.querySelector('input:checked')?.value;
}

/**
 * What a field is called.
 * @param {string} key
 * @returns {string}
 */
export function labelOf(key) {
  const label = fieldOf(key)?.querySelector('[data-testid="block-info"], label span, legend');
  return label?.textContent.trim() || key;
}

function describe(field) {
  if (field.querySelector('[id^="field-"]')) return; // several fields in one, each by itself
  const title = field.querySelector('[data-testid="block-info"], .label-text')?.textContent.trim();
  const info = field.querySelector('.info-text');
  if (info) info.id = `info-${field.id}`;
  const isGroup = field.tagName === 'FIELDSET';
  const told = isGroup ? [field] : field.querySelectorAll('input, textarea');
  for (const element of told) {
    element.setAttribute('aria-label', title);
    if (info) element.setAttribute('aria-describedby', info.id);
  }
  if (!isGroup) return;
  const radios = field.querySelectorAll('input[type="radio"]');
  if (radios.length) group(field, radios);
}

/** One name makes radio buttons one group: one stop of the tab key, arrows within. */
function group(field, radios) {
  field.setAttribute('role', 'radiogroup');
  const name = () => {
    for (const radio of radios) if (radio.name !== field.id) radio.name = field.id;
  };
  name();
  // Gradio gives each a name of its own, again after every choice.
  new MutationObserver(name).observe(field, { subtree: true, attributeFilter: ['name'] });
}

function tell(key, messages) {
  const field = fieldOf(key);
  if (!field) return;
  let told = field.querySelector(':scope > .field-problem');
  if (!told) {
    told = document.createElement('p');
    told.className = 'field-problem';
    told.id = `problem-${key}`;
    told.dataset.key = key;
    told.setAttribute('role', 'alert');
    field.append(told);
  }
  const text = messages.join('\n');
  if (told.textContent !== text) told.textContent = text;
  for (const input of field.querySelectorAll('input, textarea')) {
    input.setAttribute('aria-invalid', 'true');
    input.setAttribute('aria-errormessage', told.id);
  }
  field.classList.add('has-problem');
  const fold = field.closest('.fold');
  if (fold) toggle(fold, true);
}

function clear(told) {
  const field = told.parentElement;
  told.remove();
  field.classList.remove('has-problem');
  for (const input of field.querySelectorAll('input, textarea')) {
    input.removeAttribute('aria-invalid');
    input.removeAttribute('aria-errormessage');
  }
}

function toggle(fold, isOpen = !fold.classList.contains('is-open')) {
  fold.classList.toggle('is-open', isOpen);
  fold.querySelector('.fold-button').setAttribute('aria-expanded', String(isOpen));
}

function fieldOf(key) {
  return document.getElementById(`field-${key.replaceAll('.', '-')}`);
}
