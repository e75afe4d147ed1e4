// Run transformers.js on exported folders: a list of jobs as JSON on standard input, a list of
// results as JSON on standard output. Its node_modules are named by GLUON_BERT_NODE_MODULES.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const file = path.join(
  process.env.GLUON_BERT_NODE_MODULES, '@huggingface/transformers/dist/transformers.node.mjs',
);
const { AutoModel, AutoTokenizer, env, pipeline } = await import(pathToFileURL(file));
env.allowRemoteModels = false;

const results = [];
for (const { task, folder, inputs, options = {}, load = {} } of JSON.parse(readFileSync(0))) {
  env.localModelPath = path.dirname(folder);
  const name = path.basename(folder);
  if (task === 'sentence_embedding') {
    const tokenizer = await AutoTokenizer.from_pretrained(name);
    const model = await AutoModel.from_pretrained(name, load);
    const outputs = await model(tokenizer(inputs[0], { padding: true, truncation: true }));
    results.push(outputs.sentence_embedding.tolist());
  } else {
    const run = await pipeline(task, name, load);
    const result = await run(...inputs, options);
    results.push(result.tolist ? result.tolist() : result);
  }
}
process.stdout.write(JSON.stringify(results));
