# ruff: noqa: E501, F811 (commands as they were published; fixtures are imported)
"""Every command that was published with other BERTs' scripts is understood, or refused with why.

GluonNLP: its pages of BERT and of entities, v0.5 to v0.10, and the files of commands they link to.
Google: the README of google-research/bert. MindSpore: the README of its model zoo's BERT.
"""

import json
import shlex

import embedding
import extract_features
import finetune_classifier
import finetune_ner
import finetune_squad
import pytest
import run_pretraining
from script_runs import run_script, tiny_folder, tokenizer, undisturbed  # noqa: F401 (fixtures)
from test_examples import SAMPLE
from test_squad_script import file  # noqa: F401 (a fixture)

from common import peer_flags

CLASSIFIER = [
    # v0.5, and the commands of the result tables since
    (
        '--batch_size 32 --optimizer adam --epochs 3 --gpu',
        dict(task_name='MRPC', batch_size=32, optimizer='adam', epochs=3, gpu=0),
    ),
    (
        '--task_name MRPC --batch_size 32 --optimizer bertadam --epochs 3 --gpu --lr 2e-5',
        dict(task_name='MRPC', optimizer='bertadam', lr=2e-5, gpu=0),
    ),
    (
        '--task_name RTE --batch_size 32 --optimizer bertadam --epochs 3 --gpu --lr 2e-5',
        dict(task_name='RTE'),
    ),
    (
        '--task_name SST --epochs 4 --batch_size 16 --optimizer bertadam --gpu --lr 2e-5 --log_interval 500',
        dict(task_name='SST', epochs=4, batch_size=16, log_interval=500),
    ),
    (
        '--task_name MNLI --max_len 80 --log_interval 100 --epsilon 1e-8 --gpu',
        dict(task_name='MNLI', max_len=80, epsilon=1e-8),
    ),
    (
        '--task_name CoLA --batch_size 32 --gpu 0 --lr 2e-5 --epochs 10 --optimizer bertadam',
        dict(task_name='CoLA', epochs=10, gpu=0),
    ),
    (
        '--gpu 0 --task_name MNLI --batch_size 48 --lr 2e-5 --warmup_ratio 0.1 --epochs 4 --seed 2 --log_interval 500',
        dict(batch_size=48, warmup_ratio=0.1, seed=2),
    ),
    (
        '--batch_size 32 --lr 2e-5 --epochs 5 --gpu 0 --seed 27 --task_name MRPC --warmup_ratio 0.1',
        dict(seed=27),
    ),
    (
        '--batch_size 32 --lr 2e-5 --epochs 5 --gpu 0 --seed 24 --task_name STS-B --warmup_ratio 0.1',
        dict(task_name='STS-B'),
    ),
    (
        '--task_name QQP --batch_size 32 --lr 2e-5 --epochs 5 --warmup_ratio 0.1 --gpu 0 -seed 0',
        dict(task_name='QQP', seed=0),
    ),
    (
        '--gpu 0 --task_name SST --batch_size 32 --seed 2 --lr 2e-5 --warmup_ratio 0.1 --epochs 5 --log_interval 400',
        dict(log_interval=400),
    ),
    (
        '--seed 6 --task_name XNLI --batch_size 32 --epochs 4 --lr 2e-5 --bert_dataset wiki_cn_cased --gpu 0',
        dict(task_name='XNLI', bert_dataset='wiki_cn_cased'),
    ),
    (
        '--log_interval 100 --task_name MNLI --bert_model roberta_12_768_12 --gpu 0 --epochs 10 '
        '--dtype float32 --early_stop 2 --lr 1e-5 --batch_size 32 '
        '--bert_dataset openwebtext_ccnews_stories_books_cased --warmup 0.06',
        dict(bert_model='roberta_12_768_12', early_stop=2, warmup_ratio=0.06),
    ),
    (
        '--task_name MRPC --epoch 1 --only_inference --model_parameters ./output_dir/model_bert_MRPC_4.params '
        '--round_to 128 --dev_batch_size 1',
        dict(only_inference=True, round_to=128, dev_batch_size=1, epochs=1),
    ),
    (
        '--task_name MRPC --max_len=128 --epoch 1 --only_inference '
        '--model_parameters ./output_dir/model_bert_MRPC_2.params --dev_batch_size 1 --pad',
        dict(pad=True, max_len=128),
    ),
    # Google's run_classifier.py
    (
        '--task_name=MRPC --do_train=true --do_eval=true --data_dir=$GLUE_DIR/MRPC '
        '--vocab_file=$BERT_BASE_DIR/vocab.txt --bert_config_file=$BERT_BASE_DIR/bert_config.json '
        '--init_checkpoint=$BERT_BASE_DIR/bert_model.ckpt --max_seq_length=128 --train_batch_size=32 '
        '--learning_rate=2e-5 --num_train_epochs=3.0 --output_dir=/tmp/mrpc_output/',
        dict(
            pretrained_bert_parameters='$BERT_BASE_DIR/bert_model.ckpt',
            max_len=128,
            batch_size=32,
            lr=2e-5,
            epochs=3,
        ),
    ),
    (
        '--task_name=XNLI --do_train=true --do_eval=true --data_dir=$XNLI_DIR '
        '--vocab_file=$BERT_BASE_DIR/vocab.txt --bert_config_file=$BERT_BASE_DIR/bert_config.json '
        '--init_checkpoint=$BERT_BASE_DIR/bert_model.ckpt --max_seq_length=128 --train_batch_size=32 '
        '--learning_rate=5e-5 --num_train_epochs=2.0 --output_dir=/tmp/xnli_output/',
        dict(task_name='XNLI', epochs=2),
    ),
]

SQUAD = [
    (
        '--optimizer adam --batch_size 12 --lr 3e-5 --epochs 2 --gpu',
        dict(optimizer='adam', batch_size=12, lr=3e-5, epochs=2, gpu=0),
    ),
    (
        '--optimizer adam --accumulate 2 --batch_size 6 --lr 3e-5 --epochs 2 --gpu',
        dict(accumulate=2, batch_size=6),
    ),
    (
        '--bert_model bert_24_1024_16 --optimizer adam --accumulate 6 --batch_size 4 --lr 3e-5 --epochs 2 --gpu 0',
        dict(bert_model='bert_24_1024_16', accumulate=6),
    ),
    (
        '--bert_model bert_24_1024_16 --optimizer adam --accumulate 8 --batch_size 4 --lr 3e-5 '
        '--epochs 2 --gpu --null_score_diff_threshold -2.0 --version_2',
        dict(version_2=True, null_score_diff_threshold=-2.0),
    ),
    (
        '--bert_model bert_24_1024_16 --pretrained_bert_parameters $CKPTDIR/0000010.params '
        '--output_dir $CKPTDIR --optimizer adam --accumulate 3 --batch_size 8 --lr 3e-5 --epochs 2 --gpu 0',
        dict(pretrained_bert_parameters='$CKPTDIR/0000010.params'),
    ),
    (
        '--only_predict --model_parameters ./output_dir/net.params --round_to 128 --dev_batch_size 1',
        dict(only_predict=True, test_batch_size=1, round_to=128),
    ),
    # Google's run_squad.py
    (
        '--vocab_file=$BERT_BASE_DIR/vocab.txt --bert_config_file=$BERT_BASE_DIR/bert_config.json '
        '--init_checkpoint=$BERT_BASE_DIR/bert_model.ckpt --do_train=True '
        '--train_file=$SQUAD_DIR/train-v1.1.json --do_predict=True '
        '--predict_file=$SQUAD_DIR/dev-v1.1.json --train_batch_size=12 --learning_rate=3e-5 '
        '--num_train_epochs=2.0 --max_seq_length=384 --doc_stride=128 --output_dir=/tmp/squad_base/',
        dict(batch_size=12, epochs=2, max_seq_length=384, doc_stride=128, version_2=False),
    ),
    (
        '--vocab_file=$BERT_LARGE_DIR/vocab.txt --bert_config_file=$BERT_LARGE_DIR/bert_config.json '
        '--init_checkpoint=$BERT_LARGE_DIR/bert_model.ckpt --do_train=True '
        '--train_file=$SQUAD_DIR/train-v2.0.json --do_predict=True '
        '--predict_file=$SQUAD_DIR/dev-v2.0.json --train_batch_size=24 --learning_rate=3e-5 '
        '--num_train_epochs=2.0 --max_seq_length=384 --doc_stride=128 --output_dir=/tmp/squad_large/ '
        '--use_tpu=False --version_2_with_negative=True',
        dict(version_2=True, batch_size=24),
    ),
]

NER = [
    (
        '--train-path ${DATA_DIR}/train.txt --dev-path ${DATA_DIR}/dev.txt --test-path ${DATA_DIR}/test.txt '
        '--gpu 0 --learning-rate 1e-5 --dropout-prob 0.1 --num-epochs 100 --batch-size 8 '
        '--optimizer bertadam --bert-model bert_24_1024_16 '
        '--save-checkpoint-prefix ${MODEL_DIR}/large_bert --seed 13531',
        dict(epochs=100, batch_size=8, lr=1e-5, dropout_prob=0.1, bert_model='bert_24_1024_16'),
    ),
    # all flags of finetune_bert.py and predict_ner.py
    (
        '--train-path a --dev-path b --test-path c --cased False --seq-len 180 --warmup-ratio 0.1',
        dict(cased=False, seq_len=180, warmup_ratio=0.1),
    ),
    (
        '--test-path c --seq-len 200 --load-checkpoint-prefix ${MODEL_DIR}/large_bert --gpu 0 --batch-size 32',
        dict(seq_len=200),
    ),
]

FEATURES = [
    (
        '--input_file=/tmp/input.txt --output_file=/tmp/output.jsonl '
        '--vocab_file=$BERT_BASE_DIR/vocab.txt --bert_config_file=$BERT_BASE_DIR/bert_config.json '
        '--init_checkpoint=$BERT_BASE_DIR/bert_model.ckpt --layers=-1,-2,-3,-4 --max_seq_length=128 '
        '--batch_size=8',
        dict(layers=[-1, -2, -3, -4], batch_size=8),
    )
]

EMBEDDING = [
    (
        '--sentences "GluonNLP is a toolkit that enables easy text preprocessing, datasets loading and '
        'neural models building to help you speed up your Natural Language Processing (NLP) research."',
        dict(oov_way='avg', max_seq_length=128, batch_size=256),
    ),
    (
        '--gpu 0 --dtype float32 --model bert_24_1024_16 --dataset_name book_corpus_wiki_en_cased '
        '--params_path a.params --sentencepiece b.model --max_seq_length 64 --batch_size 8 '
        '--oov_way last --file lines.txt --verbose',
        dict(
            bert_model='bert_24_1024_16', bert_dataset='book_corpus_wiki_en_cased', oov_way='last'
        ),
    ),
]

COMMANDS = [
    (script, *row)
    for script, rows in (
        (finetune_classifier, CLASSIFIER),
        (finetune_squad, SQUAD),
        (finetune_ner, NER),
        (extract_features, FEATURES),
        (embedding, EMBEDDING),
    )
    for row in rows
]

REFUSED = [
    # GluonNLP: INT8, Horovod, half precision
    (
        finetune_classifier,
        '--task_name MRPC --only_calibration --model_parameters ./output_dir/model_bert_MRPC_4.params',
        '--only_calibration: not supported here: INT8',
    ),
    (
        finetune_classifier,
        '--task_name SST --epoch 1 --only_inference --model_prefix '
        './output_dir/model_bert_SST_quantized_customize --deploy --round_to 128 --dev_batch_size 1',
        '--model_prefix: not supported here: INT8',
    ),
    (finetune_squad, '--only_calibration --model_parameters ./output_dir/net.params', 'INT8'),
    (
        finetune_squad,
        '--only_predict --model_prefix ./output_dir/model_bert_squad_quantized_customize '
        '--deploy --round_to 128 --test_batch_size 1',
        'INT8',
    ),
    (
        finetune_squad,
        '--bert_model bert_24_1024_16 --batch_size 4 --lr 3e-5 --epochs 2 --gpu '
        '--dtype float16 --comm_backend horovod',
        "'float16' is not supported here",
    ),
    (finetune_classifier, '--task_name MRPC --dtype float16', "'float16' is not supported here"),
    # Google: TPUs, and a fine-tuned checkpoint to predict with
    (
        finetune_squad,
        '--init_checkpoint=$BERT_LARGE_DIR/bert_model.ckpt --do_train=True '
        '--output_dir=gs://some_bucket/squad_large/ --use_tpu=True --tpu_name=$TPU_NAME',
        '--use_tpu True: there are no TPUs here',
    ),
    (
        finetune_squad,
        '--init_checkpoint=$BERT_LARGE_DIR/bert_model.ckpt --do_train=False '
        '--do_predict=True --version_2_with_negative=True --null_score_diff_threshold=$THRESH',
        '--do_train False: to train nothing, give --model_parameters',
    ),
    (
        finetune_classifier,
        '--task_name=MRPC --do_predict=true --init_checkpoint=$TRAINED --do_train=no',
        '--only_inference',
    ),
    (
        finetune_classifier,
        '--num_train_epochs=2.5',
        '--num_train_epochs 2.5: expected a whole number',
    ),
    # MindSpore's model
    (
        finetune_classifier,
        '--config_path=../../task_classifier_cpu_config.yaml --device_target CPU '
        '--do_train=true --do_eval=true --num_class=15 --train_data_file_path="" '
        '--eval_data_file_path="" --load_pretrain_checkpoint_path=""',
        'MindRecord files; here settings',
    ),
    (finetune_ner, '--device_target CPU --do_train=true --use_crf=true --with_lstm=true', '--gpu'),
    (finetune_ner, '--do_train=true --do_eval=true --assessment_method=BF1', 'all metrics'),
    (finetune_ner, '--use_crf=true --with_lstm=true --train_data_file_path=""', 'it is --crf'),
    (finetune_squad, '--do_train=true --do_eval=true --vocab_file_path=""', 'it is --vocab_file'),
    (finetune_squad, '--train_data_file_path="" --eval_json_path=""', '--train_file'),
]


@pytest.mark.parametrize(
    'script, command, expected',
    COMMANDS,
    ids=lambda value: value[:60] if isinstance(value, str) else None,
)
def test_published_command_is_understood(script, command, expected):
    args = vars(script.make_parser().parse_args(shlex.split(command)))
    assert {name: args[name] for name in expected} == expected


@pytest.mark.parametrize(
    'script, command, reason',
    REFUSED,
    ids=lambda value: value[:60] if isinstance(value, str) else None,
)
def test_what_is_not_here_is_refused_with_the_reason(capsys, script, command, reason):
    with pytest.raises(SystemExit) as error:
        script.make_parser().parse_args(shlex.split(command))
    assert error.value.code == 2 and reason in capsys.readouterr().err


def test_every_flag_of_the_tables_leads_to_one_that_is_there():
    known = {
        option
        for script in (finetune_classifier, finetune_squad, finetune_ner, run_pretraining)
        for option in script.make_parser()._option_string_actions
    }
    assert {ours for choices in peer_flags.RENAMED.values() for ours in choices} <= known
    for reason in peer_flags.REFUSED.values():
        named = {word.strip(',') for word in reason.split() if word.startswith('--')}
        assert named <= known


@pytest.fixture
def google(tiny_folder, tmp_path):
    """Google's flags for a tiny TensorFlow checkpoint, whose other files lie elsewhere."""
    folder, _ = tiny_folder('tensorflow')
    config = (folder / 'bert_config.json').rename(tmp_path / 'c.json')
    vocab = (folder / 'vocab.txt').rename(tmp_path / 'v.txt')
    return [
        f'--vocab_file={vocab}',
        f'--bert_config_file={config}',
        '--do_train=True',
        f'--init_checkpoint={folder}/bert_model.ckpt',
        '--learning_rate=1e-3',
        '--train_batch_size=4',
        '--num_train_epochs=1.0',
        f'--output_dir={tmp_path}/out',
    ]


def test_googles_run_classifier_runs(run_script, google, tmp_path):
    code, _, log = run_script(
        finetune_classifier,
        '--task_name=mrpc',
        f'--data_dir={SAMPLE}',
        '--do_eval=true',
        '--max_seq_length=40',
        '--max_train_examples=8',
        '--do_lower_case=False',
        *google,
    )
    assert code == 0, log
    assert json.loads((tmp_path / 'out' / 'result.json').read_text())['steps'] == 2
    kept = json.loads((tmp_path / 'out' / 'tokenizer' / 'tokenizer_config.json').read_text())
    assert kept['do_lower_case'] is False


def test_googles_run_squad_runs(run_script, google, file, tmp_path):
    path = file()
    code, _, log = run_script(
        finetune_squad,
        f'--train_file={path}',
        '--do_predict=True',
        f'--predict_file={path}',
        '--max_seq_length=40',
        '--doc_stride=8',
        '--max_query_length=8',
        '--use_tpu=False',
        *google,
    )
    assert code == 0, log
    assert json.loads((tmp_path / 'out' / 'predictions.json').read_text())


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['--vocab_file', 'v.txt'], '--vocab_file: goes with --from_scratch'),
        (['--bert_config_file', 'c.json'], '--bert_config_file: goes with the folder'),
        (['--do_lower_case'], '--do_lower_case: goes with the folder'),
        (
            ['--init_checkpoint', 'none/bert_model.ckpt', '--vocab_file', 'v.txt'],
            'v.txt: no such file',
        ),
        (['--use_tpu=perhaps'], 'expected True or False'),
    ],
)
def test_flags_that_do_not_fit_are_told(run_script, tmp_path, arguments, message):
    code, _, log = run_script(
        finetune_classifier,
        '--data_dir',
        SAMPLE,
        '--output_dir',
        tmp_path / 'out',
        '--bert_model',
        'bert_6_384_12',
        *arguments,
    )
    assert code == 2 and message in log
