# ruff: noqa: F811 (fixtures are imported)
"""What a format cannot hold is beside it, and named by the command and the card; its code runs."""

import json
import re
import warnings

import numpy as np
import pytest
from export_networks import HEADS, checkpoint_of, initialized
from script_runs import tiny_pipeline, tokenizer  # noqa: F401 (fixtures)

from gluon_bert.checkpoint import write_checkpoint
from gluon_bert.checkpoint.sentence import Dense, Normalize, SentenceSettings
from gluon_bert.cli import main
from gluon_bert.config import BertConfig
from gluon_bert.export import EXPORTS, export
from gluon_bert.export.card import read_source_card
from gluon_bert.export.limits import PARTS
from gluon_bert.modeling.bert import BertModel
from gluon_bert.zoo import open_checkpoint

NEEDED = {
    'onnx': ('onnx', 'onnxruntime'),
    'openvino': ('onnx', 'openvino'),
    'ctranslate2': ('ctranslate2',),
    'symbol': (),
    'huggingface': ('torch', 'transformers'),
}
assert {*NEEDED} == {*EXPORTS}
# Model -> part that no format holds -> a key and its value where the command says that it is.
SETTINGS = {
    'tagger': {'crf': ('crf.transitions', None), 'scheme': ('scheme', 'IOB2')},
    'classes': {'thresholds': ('thresholds', [0.5, 0.25, 0.75])},
    'questions': {'windows': ('doc_stride', 6), 'answers': ('max_answer_length', 6)},
    'vectors': {'prompts': ('prompts', {'query': 'the ', 'text': ''})},
}
TASKS = {
    'tagger': ('token-classification', {'crf': True}),
    'classes': ('multi-label-classification', {}),
    'questions': ('question-answering', {'version_2': True}),
}


@pytest.fixture
def model(tiny_pipeline, tokenizer, tmp_path):
    """Write the folder of a model of SETTINGS, and give its path."""

    def write(name):
        if name in TASKS:
            task, settings = TASKS[name]
            tiny_pipeline(task, folder=tmp_path / name, **settings)
        else:
            write_checkpoint(sentence_model(tokenizer), tmp_path / name)
        return tmp_path / name

    return write


def sentence_model(tokenizer, **settings):
    config = BertConfig(len(tokenizer.vocab), 24, 16, 1, 2, 30, 2, 0.1, 1e-12, 'gelu', 'tanh')
    weight = np.random.RandomState(3).normal(size=(6, 24)).astype('float32')
    options = {
        'modes': ('mean',),
        'modules': (Dense(weight), Normalize()),
        'prompts': {'query': 'the ', 'text': ''},
        'lower': True,
        'max_length': 12,
        **settings,
    }
    network = initialized(BertModel(config))
    return checkpoint_of(network, tokenizer=tokenizer, sentence=SentenceSettings(**options))


def needed(to):
    for name in NEEDED[to]:
        with warnings.catch_warnings():  # of packages while they are imported
            warnings.simplefilter('ignore')
            pytest.importorskip(name, reason=f'needs {name}: python3 dev.py setup --peers')


def names_of(text):
    """The lines of a table of the card on what is not held: part -> place."""
    return dict(re.findall(r'^\| (the .+|how .+|that .+) \| `?([^`|]+?)`? \|$', text, re.M))


@pytest.mark.parametrize('to', EXPORTS)
@pytest.mark.parametrize('name', SETTINGS)
def test_what_is_not_held_is_named_and_beside_it(name, to, model, tmp_path, capsys):
    needed(to)
    out = tmp_path / 'out'
    assert main(['export', str(model(name)), '--to', to, str(out)]) == 0
    error, card = capsys.readouterr().err, (out / 'README.md').read_text()
    for part, (key, value) in SETTINGS[name].items():
        title = PARTS[part].name
        if part not in EXPORTS[to].lacks:  # sentence-transformers reads it
            assert title not in error and title not in card
            continue
        (place,) = re.findall(
            rf'^not in {EXPORTS[to].title}: {re.escape(title)} \(see (.+)\)$', error, re.M
        )
        assert names_of(card)[title] == place
        content = json.loads((out / place).read_text())
        assert content[key] == value or (value is None and np.shape(content[key]) == (5, 5))
    # Each line of the command is in the card, and the other way round.
    said = dict(re.findall(rf'^not in {EXPORTS[to].title}: (.+) \((?:see )?(.+)\)$', error, re.M))
    assert said == names_of(card)


@pytest.mark.parametrize('to', EXPORTS)
@pytest.mark.parametrize('name', SETTINGS)
def test_code_of_the_card_runs(name, to, model, tmp_path, capsys, monkeypatch):
    needed(to)
    if (name, to) == ('vectors', 'huggingface'):
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            pytest.importorskip('sentence_transformers', reason='needs sentence-transformers')
    assert main(['export', str(model(name)), '--to', to, str(tmp_path / 'out')]) == 0
    capsys.readouterr()
    (code,) = re.findall(
        r'^```python\n(.*?)```$', (tmp_path / 'out/README.md').read_text(), re.S | re.M
    )
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        exec(compile(code, 'README.md', 'exec'), {})
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize('to', EXPORTS)
def test_inputs_and_outputs_of_every_head(to, make_model, tokenizer, tmp_path):
    needed(to)
    for head, make in HEADS.items():
        network = initialized(make(make_model(vocab_size=len(tokenizer.vocab))))
        folder = tmp_path / head
        export(checkpoint_of(network, tokenizer=tokenizer), folder, to)
        card = (folder / 'README.md').read_text()
        names = [row[0] for row in re.findall(r'^\| `(\w+)` \| (float32|int64|list)', card, re.M)]
        shapes = re.findall(r'^\| `(\w+)` \| float32 \| (\(.+\)) \|', card, re.M)
        assert len(set(names)) == len(names) >= 2
        if head == 'classifier' and to != 'ctranslate2':
            assert shapes[-1][1] == '(N, 3)'
        if head == 'tagger' and to != 'ctranslate2':
            assert shapes[-1][1] == '(N, T, 5)'


def test_heads_that_are_not_exported_are_named(make_model, tokenizer, tmp_path):
    network = initialized(HEADS['pretraining'](make_model(vocab_size=len(tokenizer.vocab))))
    checkpoint = checkpoint_of(network, tokenizer=tokenizer)
    limits = export(checkpoint, tmp_path / 'a', 'symbol', {'head': 'masked_lm'})
    place = 'left out; --head next_sentence exports it'
    assert ('the next-sentence head', place, False) in limits
    assert not [limit for limit in limits if 'masked' in limit.part]
    card = (tmp_path / 'a' / 'README.md').read_text()
    assert names_of(card)['the next-sentence head'] == place
    assert 'pipeline_tag: fill-mask' in card


def test_card_of_the_source_carries_over(tiny_pipeline, tmp_path):
    tiny_pipeline('text-classification', folder=tmp_path / 'mine')
    (tmp_path / 'mine' / 'README.md').write_text(
        '---\nlicense: mit\nlanguage:\n- en\n- de\nlibrary_name: other\nmetrics:\n- f1\n---\n\n'
        '# Mine\n\nIt tells weather from sport.\n\n## Use\n\nOther code.\n\n'
        '## Licence\n\nMIT, by me.\n\n## Data\n\nSecret.\n'
    )
    export(open_checkpoint(tmp_path / 'mine'), tmp_path / 'out', 'symbol')
    card = (tmp_path / 'out' / 'README.md').read_text()
    front, body = card.split('\n---\n', 1)
    assert front.splitlines() == [
        '---', 'library_name: mxnet', 'pipeline_tag: text-classification', 'license: mit',
        'language:', '- en', '- de', 'tags:', '- bert', '- mxnet',
    ]  # fmt: skip
    assert 'It tells weather from sport.' in body and 'MIT, by me.' in body
    assert 'Other code' not in body and 'Secret' not in body
    assert 'exported it from `tiny.params`' in body and str(tmp_path) not in card
    assert 'Classes: low, mid, high.' in body


def test_card_of_a_row_of_the_zoo():
    card = read_source_card('bert_6_384_12/all_minilm_l6_v2')
    assert card.front == {'license': 'license: apache-2.0'}
    assert card.text.startswith('Sentence vectors') and 'Reimers' in card.licence


@pytest.mark.parametrize(
    'content', [b'', b'\xff\xfe', b'---\nlicense', b'# A\n' * 3, b'---\n---\n', b'## Licence\n']
)
def test_a_damaged_card_is_no_hindrance(content, tiny_pipeline, tmp_path):
    tiny_pipeline('text-classification', folder=tmp_path / 'mine')
    (tmp_path / 'mine' / 'README.md').write_bytes(content)
    export(open_checkpoint(tmp_path / 'mine'), tmp_path / 'out', 'symbol')
    assert '## Files' in (tmp_path / 'out' / 'README.md').read_text()


def test_settings_of_a_sentence_model_stand_in_its_files(tokenizer, tmp_path):
    checkpoint = sentence_model(tokenizer, similarity='dot')
    limits = export(checkpoint, tmp_path / 'out', 'symbol')
    from gluon_bert.checkpoint.huggingface.sentence_files import read_sentence_settings

    again = read_sentence_settings(tmp_path / 'out', checkpoint.config.units, 30)
    assert again == checkpoint.sentence
    assert {limit.place for limit in limits} >= {
        'modules.json', 'config_sentence_transformers.json', 'sentence_bert_config.json'
    }  # fmt: skip
