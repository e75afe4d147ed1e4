"""The parser of the command line and of the scripts."""

import pytest

from gluon_bert._internal.arguments import Parser


@pytest.fixture
def parser():
    parser = Parser(prog='tool')
    commands = parser.add_subparsers(dest='command')
    command = commands.add_parser('run')
    command.add_argument('model')
    command.add_argument('texts', nargs='*')
    command.add_argument('--batch_size', type=int)
    command.add_argument('--max-params', type=int)
    command.add_argument('--input_file')
    command.add_argument('--kind', choices=('tagger', 'span'))
    return parser


@pytest.mark.parametrize('flag', ['--batch_size', '--batch-size', '--batch-s', '--batch_s', '--b'])
@pytest.mark.parametrize('other', ['--max-params', '--max_params', '--max_p'])
def test_a_flag_has_both_spellings(parser, flag, other):
    args = parser.parse_args(['run', 'm', flag, '3', f'{other}=4'])
    assert (args.batch_size, args.max_params) == (3, 4)


def test_values_keep_their_spelling(parser):
    args = parser.parse_args(['run', '--input-file=a-b_c-d', '--', '--batch-size'])
    assert (args.input_file, args.model) == ('a-b_c-d', '--batch-size')


@pytest.mark.parametrize(
    'words, texts',
    [
        (['a', 'b', '--batch-size', '3'], ['a', 'b']),
        (['--batch-size', '3', 'a', 'b'], ['a', 'b']),
        (['a', '--batch-size', '3', 'b'], ['a', 'b']),
        ([], []),
    ],
)
def test_texts_may_stand_before_and_behind_flags(parser, words, texts):
    assert parser.parse_args(['run', 'm', *words]).texts == texts


@pytest.mark.parametrize(
    'words, message',
    [
        (['rum'], "'rum' is unknown; did you mean run? (allowed: run)"),
        (['zzz'], "'zzz' is unknown (allowed: run)"),
        (
            ['run', 'm', '--bach-size', '3'],
            'tool run: error: unknown flag --bach-size; did you mean',
        ),
        (['run', 'm', '--bach_size=3'], 'unknown flag --bach_size; did you mean --batch_size?'),
        (['run', 'm', '-x'], 'tool run: error: unknown flag -x'),
        (['run', 'm', '--kind', 'taggr'], "'taggr' is unknown; did you mean tagger? (allowed: tag"),
        (['run', 'm', '--batch-size', 'x'], "argument --batch_size: invalid int value: 'x'"),
    ],
)
def test_what_is_unknown_has_the_nearest(parser, words, message, capsys):
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(words)
    error = capsys.readouterr().err
    assert caught.value.code == 2 and message in error and error.count('\n') == 1
