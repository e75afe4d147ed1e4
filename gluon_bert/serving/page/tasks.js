// Tasks as rows: the fields of a form, the request that they make, and how its answer is shown.
//
// A row has `about`, `fields` (of a model), `body` (of the values of the fields) and `show`, which
// gives the line for the status and the elements. Its `texts` are those whose attention is shown.

import { bars, highlighted, hues, legend, matrix, number, score, table } from './views.js';

const TEXT = { name: 'text', label: 'Text', lines: 6 };
const PAIR = [
  { name: 'first', label: 'First text', lines: 4 },
  { name: 'second', label: 'Second text', lines: 4 },
];
const CUT = { name: 'truncate', label: 'Cut what is too long', choice: true };
const FILM = 'A fine film, with a story that one remembers.';

/** True, or undefined for what the server does by default. */
function cut(values) {
  return values.truncate || undefined;
}

function textOrPair(model) {
  return [...(model.reads_pairs ? PAIR : [TEXT]), CUT];
}

function textExample(model) {
  return model.reads_pairs
    ? { first: 'Who sleeps?', second: 'The cat sleeps here.' } : { text: FILM };
}

function textsOf(values, model) {
  return [model.reads_pairs ? [values.first, values.second] : values.text];
}

function textBody(values, model) {
  const inputs = model.reads_pairs ? textsOf(values, model) : values.text;
  return { inputs, parameters: { truncate: cut(values) } };
}

const CLASSIFIER = {
  about: 'labels and their probabilities',
  path: '',
  fields: textOrPair,
  example: textExample,
  body: textBody,
  texts: textsOf,
  show(answer, values, model) {
    const thresholds = model.thresholds || {};
    const rows = answer[0].map((row) => (
      { name: row.label, share: row.score, threshold: thresholds[row.label] }));
    const given = rows.filter((row) => row.share >= row.threshold).map((row) => row.name);
    const best = `${rows[0].name || '(empty)'}, ${number(rows[0].share)}`;
    const line = model.thresholds ? `Labels given: ${given.join(', ') || 'none'}`
      : `Most probable: ${best}`;
    return [line, [bars('Labels with their probabilities', 'Label', rows)]];
  },
};

const REGRESSION = {
  ...CLASSIFIER,
  about: 'a score',
  show(answer, values, model) {
    const value = answer[0][0].score;
    return [`Score: ${number(value)}`, score(value, model.range)];
  },
};

const QUESTIONS = {
  about: 'the answer to a question, cut out of a paragraph',
  path: '',
  fields: () => [
    { name: 'question', label: 'Question' },
    { name: 'context', label: 'Paragraph', lines: 8 },
    { ...CUT, label: 'Cut a question that is too long' },
  ],
  example: () => ({
    question: 'Where did Ada Lovelace live?',
    context: 'Ada Lovelace wrote the first program for a machine that was never built. She lived in '
      + 'London.',
  }),
  body: (values) => ({
    inputs: { question: values.question, context: values.context },
    parameters: { top_k: 5, truncate: cut(values) },
  }),
  texts: (values) => [[values.question, values.context]],
  show(answer, values) {
    const rows = Array.isArray(answer) ? answer : [answer];
    const best = rows[0];
    const line = best.answer
      ? `Answer: ${best.answer} (probability ${number(best.score)})`
      : `The paragraph has no answer (probability ${number(best.score)})`;
    const spans = best.answer ? [best] : [];
    const candidates = rows.map((row) => ({ name: row.answer || 'no answer', share: row.score }));
    return [line, [
      highlighted('Paragraph with the answer highlighted', values.context, spans),
      bars('Candidates with their probabilities', 'Candidate', candidates),
    ]];
  },
};

const CHOICES = {
  about: 'the most probable of several choices',
  path: '',
  fields: () => [
    { name: 'context', label: 'Context', lines: 4 },
    { name: 'choices', label: 'Choices, one a line', lines: 6, help: 'Two or more.' },
    CUT,
  ],
  example: () => ({
    context: 'It began to rain, and she had no umbrella.',
    choices: 'She waited under a roof.\nShe watered the roof.',
  }),
  check: (values) => (lines(values.choices).length < 2 ? 'Write two or more choices.' : ''),
  body: (values) => ({
    inputs: { context: values.context, choices: lines(values.choices) },
    parameters: { truncate: cut(values) },
  }),
  texts: (values) => [[values.context, lines(values.choices)[0]]],
  show(answer) {
    const rows = answer.map((row) => ({ name: row.label, share: row.score }));
    const best = rows.reduce((first, row) => (row.share > first.share ? row : first));
    const line = `Most probable: ${best.name}, ${number(best.share)}`;
    return [line, [bars('Choices with their probabilities', 'Choice', rows)]];
  },
};

const ENTITIES = {
  about: 'entities in a text',
  path: '',
  fields: () => [TEXT],
  example: () => ({ text: 'Ada Lovelace lived in London and wrote to Charles Babbage.' }),
  body: (values) => ({ inputs: values.text }),
  texts: textsOf,
  show(answer, values) {
    const counts = new Map();
    for (const row of answer) counts.set(row.entity_group, (counts.get(row.entity_group) || 0) + 1);
    const colours = hues([...counts.keys()].sort());
    const spans = answer.map((row) => (
      { ...row, type: row.entity_group, hue: colours.get(row.entity_group) }));
    const text = highlighted('Text with entities highlighted', values.text, spans);
    if (!answer.length) return ['No entities', [text]];
    const line = answer.length === 1 ? '1 entity' : `${answer.length} entities`;
    const rows = answer.map((row) => [row.word, row.entity_group, number(row.score)]);
    const titles = ['Entity', 'Type', 'Probability'];
    return [line, [legend(colours, counts), text, table('Entities', titles, rows)]];
  },
};

const MASKS = {
  about: 'words for each mask',
  path: '',
  fields: (model) => [{ ...TEXT, help: `Write ${model.mask_token} for each missing word.` }],
  example: (model) => ({ text: `The capital of France is ${model.mask_token}.` }),
  body: (values) => ({ inputs: values.text, parameters: { top_k: 5 } }),
  texts: textsOf,
  show(answer) {
    const masks = Array.isArray(answer[0]) ? answer : [answer];
    const best = masks.map((words) => words[0].token_str);
    const views = masks.map((words, index) => bars(
      `Words for mask ${index + 1}`,
      masks.length > 1 ? `Mask ${index + 1}` : 'Word',
      words.map((word) => ({ name: word.token_str, share: word.score })),
    ));
    return [`Most probable: ${best.join(', ')}`, views];
  },
};

function lines(text) {
  return text.split('\n').map((line) => line.trim()).filter(Boolean);
}

function dot(first, second) {
  return first.reduce((sum, value, index) => sum + value * second[index], 0);
}

const SENTENCES = {
  about: 'the similarity of texts (cosine)',
  path: '/embed',
  fields: () => [{ ...TEXT, label: 'Texts, one a line', lines: 8, help: 'Two or more.' }, CUT],
  example: () => ({
    text: 'A cat sleeps on the sofa.\nA kitten naps on the couch.\nShares fell sharply on Monday.',
  }),
  check: (values) => (lines(values.text).length < 2 ? 'Write two or more lines.' : ''),
  body: (values) => (
    { inputs: lines(values.text), normalize: true, truncate: cut(values) }),
  texts: (values) => lines(values.text),
  show(answer, values) {
    const texts = lines(values.text);
    const similarities = answer.map((row) => answer.map((other) => dot(row, other)));
    let best = [0, 1];
    similarities.forEach((row, first) => row.forEach((value, second) => {
      if (second > first && value > similarities[best[0]][best[1]]) best = [first, second];
    }));
    const value = number(similarities[best[0]][best[1]]);
    const line = texts.length === 2 ? `Similarity: ${value}`
      : `Most similar: texts ${best[0] + 1} and ${best[1] + 1}, ${value}`;
    return [line, [matrix(texts, similarities)]];
  },
};

const SPARSE = {
  about: 'the words that weigh most',
  path: '/embed_sparse',
  fields: () => [TEXT, CUT],
  example: () => ({ text: FILM }),
  body: (values) => ({ inputs: values.text, truncate: cut(values) }),
  texts: (values) => [values.text],
  show(answer) {
    const best = [...answer[0]].sort((a, b) => b.value - a.value).slice(0, 20);
    const rows = best.map((row) => ({ name: `word ${row.index}`, share: row.value }));
    return [`${answer[0].length} words weigh something`, [bars('Weights', 'Word', rows)]];
  },
};

export const TASKS = {
  'text-classification': CLASSIFIER,
  'multi-label-classification': CLASSIFIER,
  'next-sentence': CLASSIFIER,
  'text-regression': REGRESSION,
  'text-ranking': REGRESSION,
  'multiple-choice': CHOICES,
  'question-answering': QUESTIONS,
  'token-classification': ENTITIES,
  'fill-mask': MASKS,
  'feature-extraction': SENTENCES,
  'sparse-embedding': SPARSE,
};
