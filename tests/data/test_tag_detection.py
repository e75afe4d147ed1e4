"""Tagged files whose tags have no type or make no entities: read, checked, converted."""

import logging
import random

import pytest

from gluon_bert.data import (
    Span,
    check_entity_types,
    convert_tags,
    detect_scheme,
    read_tagged,
    repair_tags,
    spans_to_tags,
    split_tag,
    tag_names,
    tag_problems,
    tag_spans,
    valid_transitions,
    write_tagged,
)

POS = 'Ada PROPN\nsaw VERB\na DET\ncat NOUN\n\nsun NOUN\nsets VERB\n'


@pytest.fixture
def write(tmp_path):
    def make(text, name='a.conll'):
        path = tmp_path / name
        path.write_text(text)
        return path

    return make


@pytest.mark.parametrize(
    'text, scheme, types, count',
    [
        (POS, 'PLAIN', ['DET', 'NOUN', 'PROPN', 'VERB'], 6),
        ('a S\nb B\nc V\n', 'PLAIN', ['B', 'S', 'V'], 3),
        ("a NN-SHORT\nb PRP$\nc ''\nd ``\n", 'PLAIN', ["''", 'NN-SHORT', 'PRP$', '``'], 4),
        ('a -\nb X-\n', 'PLAIN', ['-', 'X-'], 2),
        ('gene B\nx I\nran O\n\ny B\nz B\n', 'IOB2', [''], 3),
        ('gene I\nx B\nran O\n', 'IOB1', [''], 2),
        ('a B\nb M\nc E\nd S\n', 'BMES', [''], 2),
        ('a B\nb L\nc U\nd O\n', 'BILOU', [''], 2),
        ('a B-x\nb I-x\nc O\n', 'IOB2', ['x'], 1),
        ('a O\nb O\n', 'IOB2', [], 0),
    ],
)
def test_the_scheme_is_that_of_the_whole_file(write, text, scheme, types, count):
    tagged = read_tagged(write(text))
    assert (tagged.scheme, tagged.entity_types(), tagged.num_entities()) == (scheme, types, count)
    assert [row.tags for row in tagged.sentences] == [
        [line.split()[-1] for line in block.splitlines()] for block in text.split('\n\n')
    ]
    assert detect_scheme(row.tags for row in tagged.sentences) == scheme


@pytest.mark.parametrize(
    'text, part',
    [
        (POS, "a.conll: its 4 tags, such as 'DET', 'NOUN', 'PROPN', are not those of entities"),
        ('a B\nb O\n', 'a.conll: its tags have no type: all entities are of one'),
        ('a B-x\nb O\n', None),
    ],
)
def test_what_is_decided_is_logged_once(write, caplog, text, part):
    with caplog.at_level(logging.INFO):
        read_tagged(write(text))
    assert len(caplog.messages) == (part is not None)
    assert part is None or part in caplog.messages[0]


@pytest.mark.parametrize(
    'text, options, message',
    [
        ('a O\nb NOUN\n', {}, r"a.conll:2: 'NOUN' is not a tag: .*; with the scheme PLAIN, each"),
        ('a B-x\nb O\n\nc I\n', {}, r"a.conll:4: 'I' has no type, but 'B-x' has"),
        ('a B\nb I-x\n', {'scheme': 'IOB2'}, r"a.conll:1: 'B' has no type, but 'I-x' has"),
        (POS + 'x O\n', {}, r"a.conll:8: 'O' is a tag of entities, but others, such as 'PROPN'"),
        (POS + 'x B-y\n', {}, r"a.conll:8: 'B-y' is a tag of entities.* in line 1, are not"),
        ('a B-x\nb I-x\nc B-\n', {}, r"a.conll:3: 'B-' is not a tag"),
        (POS, {'scheme': 'BIO'}, r"a.conll:1: 'PROPN' is not a tag: [^;]*$"),
        ('a\tNOUN\tx\nb\t\tx\n', {'tag_column': 1}, r"a.conll:2: '' is not a tag"),
        ('a\tNOUN x\nb\tDET\n', {}, r"a.conll:1: 'NOUN x' is not a tag: expected one without"),
        ('a O\nb I\n', {}, None),
        ('a b-x\nb i-x\nc o\n', {}, r"a.conll:1: 'b-x' is not a tag: .*with the scheme PLAIN"),
        ('a B_x\nb I_x\nc O\n', {}, r"a.conll:1: 'B_x' is not a tag"),
        ('a S_x\nb NOUN\n', {}, r"a.conll:1: 'S_x' is not a tag"),
        ('a NOUN _\nb VERB x\n', {}, r"a.conll: has the tag '_', which in CoNLL-U is no value"),
        ('a I\nb O\nc B\n', {'scheme': 'IOB2'}, r"a.conll:1: 'I' at the beginning violates IOB2"),
    ],
)
def test_tags_that_do_not_go_together_are_told(write, text, options, message):
    if message is None:
        assert read_tagged(write(text), **options).scheme == 'IOB1'
        return
    with pytest.raises(ValueError, match=message):
        read_tagged(write(text), **options)


@pytest.mark.parametrize('count, repeats', [(40, 1), (201, 10)])
def test_a_column_of_words_is_not_taken_for_tags(write, count, repeats):
    path = write(''.join(f'w{n} lemma{n}\n' for n in range(count)) * repeats)
    with pytest.raises(ValueError, match=rf'a.conll: has {count} different tags in .*PLAIN'):
        read_tagged(path)
    assert len(read_tagged(path, scheme='plain').entity_types()) == count


def test_any_tags_are_plain_on_request(write):
    tagged = read_tagged(write('a O\nb PER\nc B-x\n'), scheme='plain')
    assert (tagged.scheme, tagged.entity_types()) == ('PLAIN', ['B-x', 'O', 'PER'])


TREEBANK = (
    '# newdoc\n# sent_id = s-1\n# text = Ada saw\n'
    '1\tAda\tAda\tPROPN\tNNP\t_\t2\tnsubj\t_\t_\n2\tsaw\tsee\tVERB\tVBD\t_\t0\troot\t_\t_\n\n'
    '# text = # x\n1\t#\t#\tSYM\tSYM\t_\t0\troot\t_\t_\n'
)


def test_treebanks_are_read_without_their_comments(write, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        tagged = read_tagged(write(TREEBANK), word_column=1, tag_column=3)
    assert 'a.conll: 4 comments are left out' in caplog.text
    assert tagged.sentences == [
        (['Ada', 'saw'], ['PROPN', 'VERB'], 4), (['#'], ['SYM'], 8),
    ]  # fmt: skip
    write_tagged(tmp_path / 'out', tagged, [['X', 'Y'], ['Z']])
    assert [line.split('\t')[-1] for line in (tmp_path / 'out').read_text().splitlines()] == [
        *TREEBANK.split('\n')[:3], 'X', 'Y', '', '# text = # x', 'Z',
    ]  # fmt: skip


@pytest.mark.parametrize('row', ['1-2', '1.1'])
def test_rows_of_treebanks_that_are_no_words_are_told(write, row):
    path = write(TREEBANK.replace('\n2\t', f'\n{row}\t'))
    with pytest.raises(ValueError, match=rf'a.conll:5: the row {row} of CoNLL-U'):
        read_tagged(path, word_column=1, tag_column=3)


def test_words_that_begin_with_a_hash_are_words(write):
    tagged = read_tagged(write('# O\n#ada B-x\n#a=b O\n#newdoc O\n'))
    assert tagged.sentences[0].words == ['#', '#ada', '#a=b', '#newdoc']


def test_json_lines_have_no_plain_tags(write):
    path = write('{"text": "ab"}\n', 'a.json')
    with pytest.raises(ValueError, match=r'a.json: JSON lines have entities'):
        read_tagged(path, scheme='plain')


@pytest.mark.parametrize('tag', ['', 'NOUN', 'B-', '-x', 'X', 'b', 'BI-x', 'o'])
def test_what_is_no_tag_of_an_entity_is_refused(tag):
    with pytest.raises(ValueError, match='is not a tag'):
        split_tag(tag)


def test_unknown_tags_are_told(write):
    tagged = read_tagged(write(POS))
    check_entity_types(tagged, ['DET', 'NOUN', 'PROPN', 'VERB'], 'train')
    with pytest.raises(ValueError, match=r"a.conll:4: tag 'NOUN' is unknown.*not occur in train"):
        check_entity_types(tagged, ['DET', 'PROPN', 'VERB'], 'train')
    tagged = read_tagged(write('a O\nb B\n'))
    check_entity_types(tagged, [''], 'train')
    with pytest.raises(ValueError, match=r'a.conll:2: .*does not occur in train'):
        check_entity_types(tagged, ['x'], 'train')


def test_predicted_tags_are_a_further_column(write, tmp_path):
    tagged = read_tagged(write(POS))
    write_tagged(tmp_path / 'out', tagged, [['A', 'B', 'C', 'D'], ['E', 'F']])
    assert (tmp_path / 'out').read_text() == (
        'Ada PROPN A\nsaw VERB B\na DET C\ncat NOUN D\n\nsun NOUN E\nsets VERB F\n'
    )


def test_each_word_has_a_plain_tag():
    tags = ['NOUN', 'NOUN', 'O', 'B-x']
    spans = [Span(0, 1, 'NOUN'), Span(1, 2, 'NOUN'), Span(2, 3, 'O'), Span(3, 4, 'B-x')]
    assert tag_spans(tags, 'PLAIN') == spans
    assert spans_to_tags(spans, 4, 'plain') == repair_tags(tags, 'PLAIN') == tags
    assert convert_tags(tags, 'PLAIN', 'plain') == tags and not tag_problems(tags, 'PLAIN')
    with pytest.raises(ValueError, match='expected a tag for each of 5 words'):
        spans_to_tags(spans, 5, 'PLAIN')
    for source, target in (('PLAIN', 'IOB2'), ('BMES', 'plain')):
        with pytest.raises(ValueError, match='cannot become tags of the scheme'):
            convert_tags(['B'], source, target)
    assert tag_names(['DET', 'NOUN'], 'PLAIN') == ['DET', 'NOUN']
    assert all(part.all() for part in valid_transitions(['DET', 'O', 'I-x'], 'PLAIN'))


@pytest.mark.parametrize('scheme', ['IOB1', 'IOB2', 'BMES', 'BIOES', 'BILOU'])
def test_tags_without_type_are_those_of_one_type(scheme, seed):
    rng = random.Random(seed)
    typed = tag_names(['x'], scheme)
    bare = tag_names([''], scheme)
    assert bare == [tag.partition('-')[0] for tag in typed]
    for length in range(12):
        numbers = [rng.randrange(len(typed)) for _ in range(length)]
        first, second = ([names[n] for n in numbers] for names in (typed, bare))
        assert [span[:2] for span in tag_spans(second)] == [span[:2] for span in tag_spans(first)]
        mended = [tag.partition('-')[0] for tag in repair_tags(first, scheme)]
        assert repair_tags(second, scheme) == mended
        assert convert_tags(mended, scheme, 'IOB2') == repair_tags(second, 'IOB2')
    for one, other in zip(valid_transitions(typed, scheme), valid_transitions(bare, scheme)):
        assert (one == other).all()
