// Results as elements. All text goes in as text, never as markup.

/** Make an element with properties, class names and children (elements or strings). */
export function element(name, options = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(options)) {
    if (key === 'class') node.className = value;
    else if (key === 'style') setStyle(node, value);
    else if (value !== false && value !== null) node.setAttribute(key, value === true ? '' : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

function setStyle(node, values) {
  for (const [key, value] of Object.entries(values)) node.style.setProperty(key, value);
}

/** Write a probability or a similarity. */
export function number(value, digits = 3) {
  return Number(value).toFixed(digits).replace('-', '\u2212');
}

function clamp(value) {
  return Math.min(1, Math.max(0, value));
}

function bar(share, threshold) {
  const fill = element('div', { class: 'fill', style: { '--share': clamp(share) } });
  const line = threshold === undefined ? null
    : element('div', { class: 'threshold', style: { '--share': clamp(threshold) } });
  return element('div', { class: 'bar', 'aria-hidden': 'true' }, fill, line);
}

/**
 * Make a table with a bar for each row.
 *
 * rows: {name, share, threshold}; with thresholds, a column says which labels the model gives.
 */
export function bars(caption, title, rows, unit = 'Probability') {
  const decides = rows.some((row) => row.threshold !== undefined);
  const head = element('tr', {},
    element('th', { scope: 'col' }, title),
    element('td', { class: 'track' }),
    element('th', { scope: 'col', class: 'number' }, unit),
    decides ? element('th', { scope: 'col', class: 'decision' }, 'Given') : null);
  const body = rows.map((row, index) => element('tr', { class: index === 0 ? 'best' : '' },
    element('th', { scope: 'row' }, row.name === '' ? '(empty)' : row.name),
    element('td', { class: 'track' }, bar(row.share, row.threshold)),
    element('td', { class: 'number' }, number(row.share)),
    decides ? element('td', { class: 'decision' }, row.share >= row.threshold ? 'yes' : 'no')
      : null));
  return element('table', { class: 'bars' },
    element('caption', { class: 'hidden-text' }, caption),
    element('thead', {}, head), element('tbody', {}, ...body));
}

/** Show a score as a bar, where the range is known. */
export function score(value, range) {
  if (!range) return [];
  const [low, high] = range;
  const about = element('p', { class: 'help' },
    `Scores of the training were from ${number(low, 1)} to ${number(high, 1)}.`);
  return [bar((value - low) / (high - low)), about];
}

/**
 * Show a text with spans of it highlighted.
 *
 * The server counts characters as Unicode does; strings of a browser count pairs of surrogates as
 * two. spans: {start, end, type, hue}, in order.
 */
export function highlighted(name, text, spans) {
  const characters = Array.from(text);
  const parts = [];
  let done = 0;
  for (const span of spans) {
    if (span.start < done) continue;
    parts.push(characters.slice(done, span.start).join(''));
    const type = span.type ? element('span', { class: 'type' }, span.type) : null;
    const style = span.hue === undefined ? {} : { '--hue': span.hue };
    parts.push(element('mark', { style }, characters.slice(span.start, span.end).join(''), type));
    done = span.end;
  }
  parts.push(characters.slice(done).join(''));
  return element('div', { class: 'text', role: 'group', 'aria-label': name, tabindex: '0' }, ...parts);
}

/** Give each type a hue; neighbours differ most. */
export function hues(types) {
  return new Map(types.map((type, index) => [type, Math.round(212 + index * 137.5) % 360]));
}

/** List types with their colours and how often they are there. */
export function legend(colours, counts) {
  const items = [...colours].map(([type, hue]) => element('li', {},
    element('span', { class: 'swatch', style: { '--hue': hue } }, type || 'entity'),
    ` \u00d7 ${counts.get(type)}`));
  return element('ul', { class: 'legend', 'aria-label': 'Types' }, ...items);
}

/** Make a plain table: the titles of its columns, and rows of strings. */
export function table(caption, titles, rows) {
  const head = titles.map((title) => element('th', { scope: 'col' }, title));
  const body = rows.map((row) => element('tr', {}, ...row.map((cell) => element('td', {}, cell))));
  return element('div', { class: 'scroll', role: 'region', 'aria-label': caption, tabindex: '0' },
    element('table', {},
      element('caption', { class: 'hidden-text' }, caption),
      element('thead', {}, element('tr', {}, ...head)), element('tbody', {}, ...body)));
}

/** Make the coloured table of the similarities of texts. */
export function matrix(texts, values) {
  const heads = texts.map((text, index) =>
    element('th', { scope: 'col', title: text }, String(index + 1),
      element('span', { class: 'hidden-text' }, ` ${text}`)));
  const rows = texts.map((text, index) => element('tr', {},
    element('th', { scope: 'row' }, element('span', { class: 'clip' }, `${index + 1}. ${text}`)),
    ...values[index].map((value) =>
      element('td', { class: 'number', style: { '--share': clamp(value) } }, number(value, 2)))));
  const caption = 'Similarity of each text to each';
  return element('div', { class: 'scroll', role: 'region', 'aria-label': caption, tabindex: '0' },
    element('table', { class: 'matrix' },
      element('caption', { class: 'hidden-text' }, caption),
      element('thead', {}, element('tr', {}, element('td', { class: 'corner' }), ...heads)),
      element('tbody', {}, ...rows)));
}
