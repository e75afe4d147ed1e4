"""Programs in the form of GluonNLP's tutorials run with MXNet first and only its import changed."""

import json

import pytest
from hooked_environment import run

pytestmark = pytest.mark.weights

HEAD = """
import json
import mxnet as mx
import numpy as np
from mxnet import gluon
from mxnet.gluon import nn
import gluon_bert as nlp

np.random.seed(100)
mx.random.seed(100)
ctx = mx.cpu()
bert_base, vocabulary = nlp.model.get_model(
    'bert_6_384_12', dataset_name='all_minilm_l6_v2', pretrained=True, ctx=ctx,
    use_pooler=True, use_decoder=False, use_classifier=False)
tokenizer = nlp.data.BERTTokenizer(vocabulary, lower=True)
"""

# Sentence embeddings.
EMBEDDING = """
transform = nlp.data.BERTSentenceTransform(tokenizer, max_seq_length=16, pair=False, pad=True)

def embed(text):
    words, valid_length, segments = transform((text,))
    assert vocabulary.to_tokens(words.tolist())[0] == vocabulary.cls_token
    sequence, pooled = bert_base(mx.nd.array([words]), mx.nd.array([segments]),
                                 mx.nd.array([valid_length]))
    assert sequence.shape == (1, 16, 384) and pooled.shape == (1, 384)
    vector = sequence[0, :int(valid_length)].mean(axis=0)
    return vector / vector.norm()

cat, kitten, train = map(embed, ['A cat sleeps on the sofa.', 'A kitten is napping on the couch.',
                                 'The train to Basel leaves at noon.'])
ids = transform(('Hello World!',))[0].tolist()
print(json.dumps([ids, tokenizer('Hello World!'), tokenizer.convert_tokens_to_ids(['hello']),
                  float(mx.nd.dot(cat, kitten).asscalar()),
                  float(mx.nd.dot(cat, train).asscalar())]))
"""

# Fine-tuning on pairs of sentences with a training loop.
FINE_TUNING = """
pairs = []
with open('examples/sample/train.tsv', encoding='utf-8') as stream:
    next(stream)
    for line in list(stream)[:32]:
        label, _, _, first, second = line.rstrip().split('\\t')
        pairs.append((first, second, int(label)))

bert_classifier = nlp.model.BERTClassifier(bert_base, num_classes=2, dropout=0.1)
bert_classifier.classifier.initialize(init=mx.init.Normal(0.02), ctx=ctx)
bert_classifier.hybridize(static_alloc=True)
loss_function = gluon.loss.SoftmaxCELoss()
loss_function.hybridize(static_alloc=True)
metric = mx.metric.Accuracy()

transform = nlp.data.BERTSentenceTransform(tokenizer, max_seq_length=48, pair=True)

def transform_example(first, second, label):
    return (*transform((first, second)), np.array(label, dtype='int32'))

data_train = gluon.data.SimpleDataset([transform_example(*pair) for pair in pairs])
loader = gluon.data.DataLoader(data_train, batch_size=8, shuffle=True)
trainer = gluon.Trainer(bert_classifier.collect_params(), 'adam',
                        {'learning_rate': 1e-4, 'epsilon': 1e-9})
for _, value in bert_classifier.collect_params('.*beta|.*gamma|.*bias').items():
    value.wd_mult = 0.0
params = [p for p in bert_classifier.collect_params().values() if p.grad_req != 'null']

epochs = []
for epoch_id in range(8):
    metric.reset()
    step_loss = 0
    for token_ids, valid_length, segment_ids, label in loader:
        with mx.autograd.record():
            token_ids = token_ids.as_in_context(ctx)
            valid_length = valid_length.as_in_context(ctx)
            segment_ids = segment_ids.as_in_context(ctx)
            label = label.as_in_context(ctx)
            out = bert_classifier(token_ids, segment_ids, valid_length.astype('float32'))
            loss = loss_function(out, label).mean()
        loss.backward()
        trainer.allreduce_grads()
        gluon.utils.clip_global_norm([p.list_grad()[0] for p in params], 1)
        trainer.update(1)
        step_loss += loss.asscalar()
        metric.update([label], [out])
    epochs.append((float(step_loss) / len(loader), float(metric.get()[1])))
print(json.dumps(epochs))
"""


def output_of(hooked_python, program):
    result = run(hooked_python, HEAD + program)
    assert (result.returncode, result.stderr) == (0, '')
    return json.loads(result.stdout)


def test_sentence_embeddings(hooked_python, real_folder):
    ids, tokens, hello, near, far = output_of(hooked_python, EMBEDDING)
    assert ids == [101, 7592, 2088, 999, 102, *[0] * 11]  # of Google's uncased vocabulary
    assert (tokens, hello) == (['hello', 'world', '!'], [7592])
    assert (round(near, 2), round(far, 2)) == (0.75, 0.01)  # as sentence-transformers gives


def test_a_classifier_is_trained_in_a_loop(hooked_python, real_folder):
    epochs = output_of(hooked_python, FINE_TUNING)
    (first_loss, _), (last_loss, last_accuracy) = epochs[0], epochs[-1]
    assert first_loss == pytest.approx(0.693, abs=0.05)  # ln 2: nothing is learned yet
    assert last_loss < 0.2
    assert last_accuracy > 0.9
