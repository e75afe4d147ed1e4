"""Fine-tuning from folders of transformers of every kind of network and tokenizer."""

import json

import pytest
from peers import random_network, torch
from test_finetune import FAST, files
from test_tokenizer_families import train_sentencepiece

import gluon_bert as gb
from gluon_bert.kernels.support import supports
from gluon_bert.tasks.finetune import finetune

TEXT = ['the cat sleeps here , the dog barks', 'a cat', 'a dog', 'the sun'] * 4
WORDS = '[PAD] [UNK] [CLS] [SEP] [MASK] the cat dog sleeps barks a sun here , x y'.split()


def write_tokenizer(name, folder):
    if name.startswith('Electra'):
        (folder / 'vocab.txt').write_text('\n'.join(WORDS) + '\n')
    elif name.startswith('Albert'):
        model = train_sentencepiece(
            TEXT,
            vocab_size=40,
            unk_id=1,
            unk_piece='<unk>',
            pad_id=0,
            pad_piece='<pad>',
            control_symbols=['[CLS]', '[SEP]', '[MASK]'],
            user_defined_symbols=[],
        )
        (folder / 'spiece.model').write_bytes(model)
    else:
        model = train_sentencepiece(
            TEXT,
            vocab_size=40,
            unk_piece='<unk>',
            bos_id=1,
            eos_id=2,
            pad_id=-1,
            user_defined_symbols=[],
        )
        (folder / 'sentencepiece.bpe.model').write_bytes(model)
        (folder / 'tokenizer_config.json').write_text(
            json.dumps({'tokenizer_class': 'XLMRobertaTokenizer'})
        )


@pytest.mark.parametrize(
    'name, changes',
    [
        ('XLMRobertaModel', {'type_vocab_size': 1}),
        ('BertModel', {}),  # a multilingual MiniLM: BERT with XLM-R's tokenizer
        ('ElectraModel', {'embedding_size': 16}),
        ('AlbertModel', {'embedding_size': 16}),
    ],
)
@pytest.mark.parametrize(
    'task', ['text-classification', 'question-answering', 'token-classification']
)
def test_folder_is_fine_tuned_and_used(name, changes, task, tmp_path, seed):
    network = random_network(name, seed, vocab_size=60, max_position_embeddings=40, **changes)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter *= 0.4
    source = tmp_path / 'theirs'
    network.save_pretrained(source)
    write_tokenizer(name, source)
    train, options, inputs = files(task, tmp_path)
    out = tmp_path / 'out'
    options = {**FAST, **options, 'epochs': 8, 'learning_rate': 5e-3, 'warmup_ratio': 0.0}
    done = finetune(task, source, train=train, dev=train, output_dir=out, **options)
    assert done.result.steps and done.metrics['dev']
    losses = [
        record['loss']
        for record in map(json.loads, (out / 'metrics.jsonl').read_text().splitlines())
        if 'loss' in record
    ]
    third = len(losses) // 3
    assert sum(losses[-third:]) < 0.95 * sum(losses[:third]), losses
    pipeline = gb.load_pipeline(out)
    assert supports(pipeline.network.config) == (name in ('XLMRobertaModel', 'BertModel'))
    first, second = pipeline(*inputs), gb.load_pipeline(out)(*inputs)
    assert first == second
