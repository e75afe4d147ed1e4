"""Parameters counted by kind, and the drawn network."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from gluon_bert.checkpoint.schema import Checkpoint
from gluon_bert.modeling.bert import BertModel
from gluon_bert.modeling.counts import count_parameters, short_count
from gluon_bert.modeling.heads import BertClassifier, BertForPretraining, BertForQA, BertTagger
from gluon_bert.plots.network import draw_network
from gluon_bert.zoo import VOCABULARIES, WEIGHTS, get_config, list_models

SVG = '{http://www.w3.org/2000/svg}'
NETWORKS = {
    'pretraining': BertForPretraining,
    'span': BertForQA,
    'classifier': lambda bert: BertClassifier(bert, 5),
    'tagger': lambda bert: BertTagger(bert, 5),
}


@pytest.mark.parametrize('head', NETWORKS)
@pytest.mark.parametrize('num_token_types', [0, 2])
def test_counts_are_those_of_the_network(head, num_token_types, tiny_config):
    network = NETWORKS[head](BertModel(replace(tiny_config, num_token_types=num_token_types)))
    network.initialize()
    arrays = network.checkpoint_arrays()
    heads = Checkpoint(arrays, network.config).heads
    counts = count_parameters(network.config, heads, num_classes=5)
    assert sum(counts.values()) == sum(array.size for array in arrays.values())
    assert counts['feed-forward'] == sum(
        array.size for name, array in arrays.items() if '.ffn.ffn_' in name
    )
    assert counts['layer normalisation'] == sum(
        array.size for name, array in arrays.items() if 'layer_norm' in name
    )


@pytest.mark.parametrize('key', list_models(), ids='/'.join)
def test_counts_are_those_of_the_row(key):
    config = get_config(key.name, VOCABULARIES[key.dataset_name].size)
    heads = [head for head in WEIGHTS[key].heads if head == 'pooler']
    assert sum(count_parameters(config, heads).values()) == WEIGHTS[key].num_params


@pytest.mark.parametrize(
    'number, text', [(1536, '1,536'), (590_592, '0.59 M'), (109_482_240, '109.48 M')]
)
def test_short_counts(number, text):
    assert short_count(number) == text


@pytest.mark.parametrize(
    'heads',
    [
        (),
        ('pooler',),
        ('pooler', 'next_sentence', 'masked_lm'),
        ('masked_lm', 'span', 'tagger', 'pooler', 'classifier'),
    ],
)
def test_svg_is_whole_and_the_same_each_time(heads, tiny_config, tmp_path):
    paths = tmp_path / 'a.svg', tmp_path / 'b.svg'
    config = replace(tiny_config, num_token_types=len(heads))
    for path in paths:
        draw_network(config, path, heads, r'a title, no formula: $\frac$')
    root = ElementTree.parse(paths[0]).getroot()
    assert root.tag == f'{SVG}svg'
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_more_heads_draw_more_blocks(tiny_config, tmp_path):
    def blocks(*heads):
        draw_network(tiny_config, tmp_path / 'a.svg', heads)
        return len(ElementTree.parse(tmp_path / 'a.svg').findall(f'.//{SVG}g[@id]'))

    assert blocks() < blocks('pooler') < blocks('pooler', 'masked_lm')


def test_png(tiny_config, tmp_path):
    draw_network(tiny_config, tmp_path / 'a.PNG', ('pooler',), 'title')
    data = (tmp_path / 'a.PNG').read_bytes()
    assert data[:8] == b'\x89PNG\r\n\x1a\n'
    width, height = (int.from_bytes(data[i : i + 4], 'big') for i in (16, 20))
    assert width > 1000 and height > 1000


def test_other_suffixes_are_refused(tiny_config, tmp_path):
    with pytest.raises(ValueError, match=r'a\.gif: expected a name that ends in \.png, \.svg or'):
        draw_network(tiny_config, tmp_path / 'a.gif')
    assert not list(tmp_path.iterdir())


def test_drawing_of_shared_layers_and_narrow_embeddings(tiny_config, tmp_path):
    config = replace(tiny_config, share_layers=True, embedding_units=8, num_layers=4)
    path = tmp_path / 'albert.svg'
    draw_network(config, path, heads=['pooler', 'masked_lm'])
    plain = tmp_path / 'bert.svg'
    draw_network(replace(config, share_layers=False), plain, heads=['pooler', 'masked_lm'])
    assert path.read_bytes().startswith(b'<?xml') and path.read_bytes() != plain.read_bytes()
    network = BertForPretraining(BertModel(config), use_classifier=False)
    network.initialize()
    counted = count_parameters(config, ['pooler', 'masked_lm'])
    sizes = {name: array.size for name, array in network.checkpoint_arrays().items()}
    assert sum(counted.values()) == sum(sizes.values())
    assert counted['embed project'] == sizes['embed_project.weight'] + sizes['embed_project.bias']
