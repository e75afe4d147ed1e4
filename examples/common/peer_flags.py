"""The flags of the scripts published with other BERTs, so that their commands run here unchanged.

Those of GluonNLP have the same names here. Google's run_classifier.py, run_squad.py and
extract_features.py have others, which are translated. What a published flag asks for and is not
here is refused with the reason.
"""

import argparse
import sys

from gluon_bert._internal.arguments import Parser as BaseParser

# Another script's name -> ours; the first that the script at hand has.
RENAMED = {
    '--init_checkpoint': ('--pretrained_bert_parameters',),
    '--max_seq_length': ('--max_len',),
    '--train_batch_size': ('--batch_size', '--total_batch_size'),
    '--eval_batch_size': ('--dev_batch_size', '--test_batch_size', '--total_batch_size_eval'),
    '--predict_batch_size': ('--dev_batch_size', '--test_batch_size'),
    '--dev_batch_size': ('--test_batch_size',),
    '--learning_rate': ('--lr',),
    '--num_train_epochs': ('--epochs',),
    '--warmup_proportion': ('--warmup_ratio',),
    '--save_checkpoints_steps': ('--checkpoint_interval', '--ckpt_interval'),
    '--input_file': ('--data',),
    '--output_dir': ('--ckpt_dir',),
    '--num_train_steps': ('--num_steps',),
    '--max_eval_steps': ('--eval_steps',),
    '-seed': ('--seed',),
}
# Taken and left out, with the values that may stand behind them; None: any.
NEEDLESS = {
    '--do_train': True,
    '--do_eval': None,
    '--do_predict': None,
    '--use_tpu': False,
    '--tpu_name': None,
    '--tpu_zone': None,
    '--gcp_project': None,
    '--master': None,
    '--num_tpu_cores': None,
    '--iterations_per_loop': None,
    '--verbose_logging': None,
    '--use_one_hot_embeddings': None,
    # How GluonNLP's run_pretraining.py reads its data: here a stream does, whatever their format.
    **dict.fromkeys(
        (
            *('--eval_use_npz', '--verbose', '--num_buckets', '--num_dataset_workers'),
            *('--num_batch_workers', '--circle_length', '--repeat', '--dataset_cached'),
            '--num_max_dataset_cached',
        )
    ),
}
_INT8 = 'INT8 and exported networks are not supported here'
_MINDSPORE = 'a flag of the MindSpore model, whose data are MindRecord files; here '
REFUSED = {
    '--do_train': 'to train nothing, give --model_parameters and --only_inference, for questions '
    '--only_predict',
    '--start_step': 'the step is saved with the state of the run: give --resume',
    '--cased': 'the vocabulary tells whether text is lower-cased',
    '--phase2': 'both phases are one run here: --phase for each, see gluon-bert pretrain --help',
    '--phase1_num_steps': 'both phases are one run here: --phase for each',
    '--synthetic_data': 'not supported here: give records',
    '--profile': 'not supported here',
    '--use_tpu': 'there are no TPUs here; leave it out, or give --gpu',
    **dict.fromkeys(
        (
            '--deploy',
            '--model_prefix',
            '--only_calibration',
            '--num_calib_batches',
            '--quantized_dtype',
            '--calib_mode',
            '--custom_pass_lib',
            '--custom_passes',
        ),
        f'not supported here: {_INT8}',
    ),
    '--config_path': f'{_MINDSPORE}settings are flags, see --help',
    '--device_target': f'{_MINDSPORE}it is --gpu, or nothing for the CPU',
    '--assessment_method': f'{_MINDSPORE}all metrics of a task are given',
    '--num_class': f'{_MINDSPORE}classes are found in the training file',
    '--epoch_num': f'{_MINDSPORE}it is --epochs',
    '--use_crf': f'{_MINDSPORE}it is --crf',
    '--with_lstm': f'{_MINDSPORE}there is no LSTM',
    '--train_data_file_path': f'{_MINDSPORE}--train_file or --train_path names the original file',
    '--eval_data_file_path': f'{_MINDSPORE}--dev_file or --dev_path names the original file',
    '--eval_json_path': f'{_MINDSPORE}it is --predict_file',
    '--vocab_file_path': f'{_MINDSPORE}it is --vocab_file',
    '--load_pretrain_checkpoint_path': f'{_MINDSPORE}it is --pretrained_bert_parameters',
}


class Parser(BaseParser):
    """A parser that knows the flags of other scripts by the tables above."""

    def parse_known_args(self, args=None, namespace=None):
        args = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args(list(self._translated(args)), namespace)

    def _translated(self, args):
        known = self._option_string_actions
        while args:
            item = args.pop(0)
            name, equals, value = item.partition('=')
            if name not in known and name.startswith('--'):
                name = name.replace('-', '_').replace('__', '--', 1)
                item = f'{name}{equals}{value}'
            ours = next((ours for ours in RENAMED.get(name, ()) if ours in known), None)
            if name in known and equals and known[name].nargs == 0:
                yield from [name] * self._is_true(name, value)  # Google's --flag=True
            elif name in known or not (ours or name in NEEDLESS or name in REFUSED):
                yield item
            elif ours:
                yield ours
                if equals or args:
                    yield self._count(name, value if equals else args.pop(0))
            elif name in NEEDLESS:
                if not equals and args and not args[0].startswith('-'):
                    value = args.pop(0)
                self._check(name, value or 'true')
            else:
                self.error(f'{name}: {REFUSED[name]}')

    def _count(self, name, value):
        """A number of epochs, which Google's scripts write as 3.0, as ours do."""
        if name != '--num_train_epochs':
            return value
        whole, _, rest = value.partition('.')
        if rest.strip('0'):
            self.error(f'{name} {value}: expected a whole number')
        return whole

    def _check(self, name, value):
        if NEEDLESS[name] is not None and self._is_true(name, value) != NEEDLESS[name]:
            self.error(f'{name} {value}: {REFUSED[name]}')

    def _is_true(self, name, value):
        try:
            return truth(value)
        except argparse.ArgumentTypeError as error:
            self.error(f'{name} {error}')


def truth(text):
    """An argument that is yes or no."""
    values = {
        'yes': True,
        'true': True,
        't': True,
        'y': True,
        '1': True,
        'no': False,
        'false': False,
        'f': False,
        'n': False,
        '0': False,
    }
    if text.lower() not in values:
        raise argparse.ArgumentTypeError(f'{text}: expected True or False')
    return values[text.lower()]


def training(text):
    """An argument that is true, of a script that does nothing but train."""
    if not truth(text):
        raise argparse.ArgumentTypeError(
            f'{text}: this script trains, and --do_eval evaluates a trained model before the first '
            f'step, too; for that evaluation alone, give --num_steps 1'
        )
    return True


def one_dtype(*names):
    """An argument that is one of the precisions there are."""

    def parse(text):
        if text not in names:
            raise argparse.ArgumentTypeError(
                f'{text!r} is not supported here, only {" and ".join(names)}'
            )
        return text

    return parse


float32 = one_dtype('float32')
