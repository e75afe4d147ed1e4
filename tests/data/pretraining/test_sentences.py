"""Rules that split text into sentences."""

import pytest

from gluon_bert.data.pretraining.sentences import split_sentences


@pytest.mark.parametrize(
    'text, expected',
    [
        ('', []),
        ('   \t', []),
        ('No end', ['No end']),
        ('One. Two! Three? Four', ['One.', 'Two!', 'Three?', 'Four']),
        ('What?! Really... Yes.', ['What?!', 'Really...', 'Yes.']),
        ('It was 3.14 of them. Then 2 more.', ['It was 3.14 of them.', 'Then 2 more.']),
        ('See e.g. Smith. It is so.', ['See e.g. Smith.', 'It is so.']),
        ('Mr. and Mrs. Jones met J. R. Ewing. Both smiled.',
         ['Mr. and Mrs. Jones met J. R. Ewing.', 'Both smiled.']),
        ('He is No. 5 of them. She said no. Then she left.',
         ['He is No. 5 of them.', 'She said no.', 'Then she left.']),
        ('"Go!" he said. "No." She went.', ['"Go!" he said.', '"No."', 'She went.']),
        ('(It rained.) [It did.] Then not.', ['(It rained.)', '[It did.]', 'Then not.']),
        ('He came at 5 p.m. on Monday. She too.', ['He came at 5 p.m. on Monday.', 'She too.']),
        ('So did I. Nobody knew.', ['So did I.', 'Nobody knew.']),
        ('a. b. c', ['a. b. c']),
        ('今天下雨。我们在家！“走吧？”他说。好',
         ['今天下雨。', '我们在家！', '“走吧？”', '他说。', '好']),
        ('Das ist gut. Über alles? Ja.', ['Das ist gut.', 'Über alles?', 'Ja.']),
        ('Это так. Да.', ['Это так.', 'Да.']),
    ],
)  # fmt: skip
def test_sentences(text, expected):
    assert split_sentences(text) == expected


def test_no_text_is_lost_and_time_is_linear():
    text = 'Dr. A. B. said "so." And ' * 20000
    assert ' '.join(split_sentences(text)) == text.strip()
    for dots in ('.' * 100_000, '."' * 50_000, '. ' * 50_000, '。' * 50_000):
        assert ''.join(split_sentences(dots)).replace(' ', '') == dots.replace(' ', '')
