// The page: models of the server, a form for the task of the chosen one, its answer.

import { attentionSection } from './attention.js';
import { TASKS } from './tasks.js';
import { element } from './views.js';

const byId = (id) => document.getElementById(id);
const state = { models: [], key: '', running: null, texts: {} };

/** Ask the server; gives the answer and how many texts were cut. */
async function ask(path, body, signal) {
  const headers = { 'content-type': 'application/json' };
  if (state.key) headers.authorization = `Bearer ${state.key}`;
  const method = body ? 'POST' : 'GET';
  const answer = await fetch(path, { method, headers, signal, body: body && JSON.stringify(body) })
    .catch(unless('The server cannot be reached.'));
  const content = await answer.json().catch(answer.ok
    ? unless('The answer of the server cannot be read.') : () => null);
  if (!answer.ok) throw new Error(problem(answer, content));
  return { content, cut: Number(answer.headers.get('x-truncated') || 0) };
}

/** Make a handler that says what happened, unless the request was given up. */
function unless(reason) {
  return (error) => {
    throw error.name === 'AbortError' ? error : new Error(reason);
  };
}

function problem(answer, content) {
  if (answer.status === 401) {
    byId('key-form').hidden = false;
    byId('key').focus();
    return state.key ? 'The server does not take this API key.' : 'The server asks for an API key.';
  }
  const reason = (content && content.error) || `status ${answer.status}`;
  const wait = answer.headers.get('retry-after');
  if (answer.status === 429) return `The server is busy: ${reason}. Try again in ${wait || 1} s.`;
  return `The server refused: ${reason}`;
}

function show(line, views = []) {
  byId('error').textContent = '';
  byId('status').textContent = line;
  byId('output').replaceChildren(...views);
}

function showError(error) {
  show('');
  byId('error').textContent = error.message;
}

function chosen() {
  return state.models[byId('model').selectedIndex];
}

function makeField(field) {
  const id = `field-${field.name}`;
  if (field.choice) {
    return element('label', { class: 'choice' },
      element('input', { type: 'checkbox', id, name: field.name }), field.label);
  }
  const help = field.help ? element('p', { id: `${id}-help`, class: 'help' }, field.help) : null;
  const options = { id, name: field.name, required: true, 'aria-describedby': help && help.id };
  const input = field.lines
    ? element('textarea', { ...options, rows: field.lines }) : element('input', options);
  return element('div', {}, element('label', { for: id }, field.label), input, help);
}

function inputs() {
  return [...byId('fields').querySelectorAll('[name]')];
}

function readFields() {
  return Object.fromEntries(inputs().map((input) => (
    [input.name, input.type === 'checkbox' ? input.checked : input.value])));
}

function chooseModel() {
  for (const input of inputs()) if (input.type !== 'checkbox') state.texts[input.name] = input.value;
  if (state.running) state.running.abort();
  const model = chosen();
  const task = TASKS[model.task];
  byId('about').textContent = `${model.task}: ${task.about}. `
    + `Reads ${model.max_length} tokens at once.`;
  byId('fields').replaceChildren(...task.fields(model).map(makeField));
  for (const input of inputs()) if (state.texts[input.name]) input.value = state.texts[input.name];
  show('');
  clearAttention(model);
}

async function loadModels() {
  try {
    const { content } = await ask('page/models');
    state.models = content.filter((model) => model.task in TASKS);
  } catch (error) {
    showError(error);
    return;
  }
  const options = state.models.map((model) => element('option', {}, model.name));
  byId('model').replaceChildren(...options);
  byId('form').hidden = false;
  chooseModel();
}

async function run() {
  const model = chosen();
  const task = TASKS[model.task];
  const values = readFields();
  const reason = task.check ? task.check(values) : '';
  if (reason) {
    showError(new Error(reason));
    return;
  }
  if (state.running) state.running.abort();
  const running = new AbortController();
  state.running = running;
  byId('output').setAttribute('aria-busy', 'true');
  try {
    const path = `models/${encodeURIComponent(model.name)}${task.path}`;
    const { content, cut } = await ask(path, task.body(values, model), running.signal);
    const [line, views] = task.show(content, values, model);
    const note = cut === 1 ? '. 1 text was cut.' : `. ${cut} texts were cut.`;
    show(line + (cut ? note : ''), views);
  } catch (error) {
    if (error.name !== 'AbortError') showError(error);
  } finally {
    if (state.running === running) byId('output').setAttribute('aria-busy', 'false');
  }
}

const clearAttention = attentionSection(ask, () => {
  if (!byId('form').reportValidity()) return null;
  const model = chosen();
  return { model, texts: TASKS[model.task].texts(readFields(), model) };
});
byId('model').addEventListener('change', chooseModel);
byId('example').addEventListener('click', () => {
  const values = TASKS[chosen().task].example(chosen());
  for (const input of inputs()) if (input.name in values) input.value = values[input.name];
});
byId('form').addEventListener('submit', (event) => {
  event.preventDefault();
  run();
});
byId('form').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    byId('form').requestSubmit();
  }
});
byId('key-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  state.key = byId('key').value.trim();
  await loadModels();
  if (byId('error').textContent) return;
  byId('key-form').hidden = true;
  byId('model').focus();
});
loadModels();
