"""The flags of the scripts, and of other makers' scripts, in both spellings."""

import importlib

import pytest

SCRIPTS = ['finetune_classifier', 'finetune_ner', 'finetune_squad', 'embed_sentences', 'embedding']


@pytest.mark.parametrize('script', [*SCRIPTS, 'bert_probe', 'extract_features', 'run_pretraining'])
def test_every_flag_has_both_spellings(script):
    parser = importlib.import_module(script).make_parser()
    known = parser._option_string_actions
    flags = [flag for flag in known if flag.startswith('--')]
    assert any('_' in flag for flag in flags)
    for flag in flags:
        for spelling in (
            flag,
            '--' + flag[2:].replace('_', '-'),
            '--' + flag[2:].replace('-', '_'),
        ):
            (item,) = parser._respelled([f'{spelling}=a_b-c'])
            name, _, value = item.partition('=')
            assert value == 'a_b-c' and known[name] is known[flag]


@pytest.mark.parametrize('spell', [str, lambda flag: '--' + flag[2:].replace('_', '-')])
def test_the_flags_of_other_scripts_have_them_too(spell):
    parser = importlib.import_module('finetune_classifier').make_parser()
    words = [spell('--train_batch_size'), '8', spell('--num_train_epochs'), '2.0']
    args = parser.parse_args([*words, f'{spell("--max_seq_length")}=64', spell('--do_train=True')])
    assert (args.batch_size, args.epochs, args.max_len) == (8, 2, 64)


def test_a_script_starts_from_a_name_of_the_hub():
    parser = importlib.import_module('finetune_classifier').make_parser()
    assert parser.parse_args(['--bert-model', 'roberta-base']).bert_model == 'roberta-base'


def test_a_wrong_flag_or_name_has_the_nearest(capsys):
    parser = importlib.import_module('finetune_classifier').make_parser()
    for words, hint in (
        (['--bert_model', 'bert-base-uncasd'], "did you mean 'bert-base-uncased'?"),
        (['--batchsize', '3'], 'unknown flag --batchsize; did you mean --batch_size?'),
    ):
        with pytest.raises(SystemExit, match='2'):
            parser.parse_args(words)
        assert hint in capsys.readouterr().err
