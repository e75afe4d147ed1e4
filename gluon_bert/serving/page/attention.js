// Attention: the map of one head, and an overview of all heads to choose from.

import { moveByKeys } from './grid.js';
import { element, number, table } from './views.js';

const byId = (id) => document.getElementById(id);
const OVERVIEW = 'All layers (down) and heads (across)';
const ARROW = '\u2192';
const HINT = 'Point at a cell, or move through the map with the arrow keys, to see its value.';

/** Read the numbers of an answer, which are bytes in base64. */
function decode(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i += 1) bytes[i] = raw.charCodeAt(i);
  return new Float32Array(bytes.buffer);
}

/** Make the maps of an answer: `map(layer, head)` has the rows of one, one after the other. */
function readAnswer(answer) {
  const [layers, heads, size] = answer.shape;
  const values = decode(answer.attention);
  const names = answer.tokens.map((token, index) => `${token} (${index})`);
  function map(layer, head) {
    const begin = (layer * heads + head) * size * size;
    return values.subarray(begin, begin + size * size);
  }
  return { tokens: answer.tokens, names, first: answer.num_first, layers, heads, size, map };
}

/** Stretch small probabilities, as the pictures of the library do. */
function shade(value) {
  return Math.sqrt(Math.min(1, Math.max(0, value)));
}

/** List the names of so many layers or heads. */
function upTo(count) {
  return [...Array(count).keys()].map(String);
}

/** Tell if the second text of a pair begins at one of some places. */
function edge(attention, ...places) {
  return places.includes(attention.first) && attention.first < attention.size;
}

/** Make the map of a head: its box, and a function that shows another one. */
function makeMap(attention) {
  const { tokens, names, size } = attention;
  const label = (index, scope) => element('th', {
    scope, title: tokens[index], class: edge(attention, index) ? `${scope}-edge` : '',
  }, element('span', {}, tokens[index]));
  const heads = tokens.map((token, index) => label(index, 'col'));
  const sides = tokens.map((token, index) => label(index, 'row'));
  const cells = tokens.map((_, y) => tokens.map((__, x) => element('td', {
    role: 'gridcell',
    class: `${edge(attention, y) ? 'row-edge' : ''} ${edge(attention, x) ? 'col-edge' : ''}`,
  })));
  const rows = cells.map((row, y) => element('tr', {}, sides[y], ...row));
  const corner = element('td', { class: 'corner' });
  const body = element('table', { class: size > 40 ? 'heat dense' : 'heat', role: 'grid' },
    element('thead', {}, element('tr', {}, corner, ...heads)), element('tbody', {}, ...rows));
  const box = element('div', { class: 'scroll heat-box' }, body);
  const readout = element('p', { class: 'readout' });
  const hint = element('p', { class: 'help' }, HINT);
  moveByKeys(body, cells);
  let values;
  let marked = [];
  function point(event) {
    const cell = event.target.closest('td[role=gridcell]');
    if (!cell) return;
    const [y, x] = [cell.parentElement.rowIndex - 1, cell.cellIndex - 1];
    for (const node of marked) node.classList.remove('active');
    marked = [sides[y], heads[x]];
    for (const node of marked) node.classList.add('active');
    readout.textContent = `${names[y]} ${ARROW} ${names[x]}: ${number(values[y * size + x])}`;
  }
  body.addEventListener('mouseover', point);
  body.addEventListener('focusin', point);
  function show(layer, head) {
    values = attention.map(layer, head);
    body.setAttribute('aria-label', `Attention in layer ${layer}, head ${head}`);
    cells.forEach((row, y) => row.forEach((cell, x) => {
      const value = values[y * size + x];
      cell.style.setProperty('--share', shade(value).toFixed(3));
      cell.setAttribute('aria-label', `${names[y]} to ${names[x]}: ${number(value)}`);
    }));
    for (const node of marked) node.classList.remove('active');
    readout.textContent = '';
  }
  return { views: [readout, box, hint], show };
}

/** List the token that each token attends to most. */
function strongest(attention, layer, head) {
  const { names, size } = attention;
  const values = attention.map(layer, head);
  const rows = names.map((name, y) => {
    const row = values.subarray(y * size, (y + 1) * size);
    const best = row.indexOf(Math.max(...row));
    return [name, names[best], number(row[best])];
  });
  return table('What each token attends to most', ['Token', 'Attends to', 'Probability'], rows);
}

function paint(canvas, values, colour) {
  const context = canvas.getContext('2d');
  const picture = context.createImageData(canvas.width, canvas.height);
  for (let i = 0; i < values.length; i += 1) {
    for (let part = 0; part < 3; part += 1) picture.data[4 * i + part] = colour[part];
    picture.data[4 * i + 3] = 255 * shade(values[i]);
  }
  context.putImageData(picture, 0, 0);
}

/** Make small maps of all heads: their box, and functions that mark one and that paint all. */
function makeOverview(attention, choose) {
  const { size, layers, heads } = attention;
  const coarse = size > 32 ? '' : 'coarse';
  const canvases = upTo(layers).map(() => upTo(heads).map(() => (
    element('canvas', { width: size, height: size, class: coarse, 'aria-hidden': 'true' }))));
  const buttons = canvases.map((row, layer) => row.map((canvas, head) => {
    const button = element('button', {
      type: 'button', class: 'thumb', 'aria-label': `Layer ${layer}, head ${head}`,
      title: `Layer ${layer}, head ${head}`,
    }, canvas);
    button.addEventListener('click', () => choose(layer, head));
    return button;
  }));
  const head = element('tr', {}, element('td', {}),
    ...upTo(heads).map((name) => element('th', { scope: 'col' }, name)));
  const rows = buttons.map((row, layer) => element('tr', {},
    element('th', { scope: 'row' }, String(layer)),
    ...row.map((button) => element('td', {}, button))));
  const body = element('table', { class: 'thumbs' },
    element('caption', { class: 'hidden-text' }, OVERVIEW),
    element('thead', {}, head), element('tbody', {}, ...rows));
  const reach = moveByKeys(body, buttons);
  function mark(layer, index) {
    buttons.forEach((row, y) => row.forEach((button, x) => (
      button.setAttribute('aria-pressed', String(y === layer && x === index)))));
    reach(layer, index);
  }
  function paintAll() {
    const hex = getComputedStyle(document.documentElement).getPropertyValue('--heat').trim();
    const colour = [1, 3, 5].map((place) => parseInt(hex.slice(place, place + 2), 16));
    canvases.forEach((row, layer) => row.forEach((canvas, index) => (
      paint(canvas, attention.map(layer, index), colour))));
  }
  paintAll();
  const title = element('p', { class: 'help', 'aria-hidden': 'true' }, OVERVIEW);
  return { view: element('div', {}, title, element('div', { class: 'scroll' }, body)), mark, paintAll };
}

function makeSelect(id, label, options, change) {
  const list = element('select', { id }, ...options.map((text) => element('option', {}, text)));
  list.addEventListener('change', change);
  return { list, view: element('div', {}, element('label', { for: id }, label), list) };
}

/** Make the views of an answer; gives a function that paints them for another theme. */
function showMaps(answer, output) {
  const attention = readAnswer(answer);
  const layer = makeSelect('attention-layer', 'Layer', upTo(attention.layers), refresh);
  const head = makeSelect('attention-head', 'Head', upTo(attention.heads), refresh);
  const map = makeMap(attention);
  const overview = makeOverview(attention, (y, x) => {
    layer.list.selectedIndex = y;
    head.list.selectedIndex = x;
    refresh();
  });
  const list = element('details', {}, element('summary', {}, 'As a list'));
  function refresh() {
    const place = [layer.list.selectedIndex, head.list.selectedIndex];
    map.show(...place);
    overview.mark(...place);
    list.replaceChildren(list.firstChild, strongest(attention, ...place));
  }
  refresh();
  output.replaceChildren(
    element('div', { class: 'row choices' }, layer.view, head.view),
    element('div', { class: 'maps' }, element('div', {}, ...map.views, list), overview.view),
  );
  return overview.paintAll;
}

/**
 * Run the section of the page.
 *
 * ask: as in page.js. current: gives the model and its texts as they are written, or null where
 * something is missing. Gives a function that clears the section for a model.
 */
export function attentionSection(ask, current) {
  let running = null;
  let repaint = () => {};
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => repaint());

  function show(line, error = '') {
    byId('attention-status').textContent = line;
    byId('attention-error').textContent = error;
  }

  async function compute(model, inputs) {
    if (running) running.abort();
    running = new AbortController();
    const mine = running;
    const output = byId('attention-output');
    output.setAttribute('aria-busy', 'true');
    try {
      const path = `models/${encodeURIComponent(model.name)}/attention`;
      const body = { inputs, truncate: true, encoding_format: 'base64' };
      const { content, cut } = await ask(path, body, mine.signal);
      repaint = showMaps(content, output);
      const [layers, heads, size] = content.shape;
      const note = cut ? ` The text was cut to ${size} tokens.` : '';
      show(`${size} tokens, ${layers} layers, ${heads} heads.${note}`);
    } catch (error) {
      if (error.name === 'AbortError') return;
      output.replaceChildren();
      show('', error.message);
    } finally {
      if (running === mine) output.setAttribute('aria-busy', 'false');
    }
  }

  byId('attend').addEventListener('click', () => {
    const given = current();
    if (!given) return;
    const { model, texts } = given;
    const options = texts.map((text, index) => `${index + 1}. ${text}`.slice(0, 80));
    const choice = makeSelect('attention-text', 'Text', options,
      () => compute(model, texts[choice.list.selectedIndex]));
    byId('attention-texts').replaceChildren(...(texts.length > 1 ? [choice.view] : []));
    compute(model, texts[0]);
  });

  return (model) => {
    if (running) running.abort();
    byId('attention').hidden = false;
    byId('attention-about').textContent = 'How much each token attends to each other token, in '
      + 'every layer and head of the network. The rows of a map attend to its columns, and sum to '
      + '1; a colour shows the square root, so that weak attention is seen. '
      + `Longer texts are cut to ${model.attention_length} tokens.`;
    byId('attention-texts').replaceChildren();
    byId('attention-output').replaceChildren();
    show('');
  };
}
