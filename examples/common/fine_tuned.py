"""The folder of a fine-tuned network, as the scripts that fine-tune read and write it."""

import sys

import gluon_bert as gb
from common import cli


def recall(parser, argv, tasks, settings):
    """The arguments, and what is kept beside the parameters they name, or None.

    Flags that are not given are as they were in the training: ``settings`` has the flags' names by
    those of the settings.
    """
    args = parser.parse_args(argv)
    source = getattr(args, 'load_checkpoint_prefix', None) or args.model_parameters
    if source is None or not gb.task_folder.has_task(source):
        return args, None
    kept = gb.task_folder.read_task(source)
    if kept.task not in tasks:
        raise cli.Failure(
            f'{source}: was trained for {kept.task}, this script is for {" and ".join(tasks)}'
        )
    parser.set_defaults(
        **{flag: kept.settings[name] for name, flag in settings.items() if name in kept.settings}
    )
    return parser.parse_args(argv), kept


def choose_model(args, kept):
    """Fill in the model's names where they were not given."""
    if kept is None:
        cli.choose_model(args)
    else:
        args.bert_model, args.bert_dataset = kept.settings.get('base', (None, None))


def load_bert(args, kept, ctx, use_pooler=True):
    """The BERT to start from, and its tokenizer; what was kept needs nothing from elsewhere."""
    if kept is None:
        return cli.load_bert(args, ctx, use_pooler)
    return gb.BertModel(kept.config, use_pooler=use_pooler), kept.tokenizer


def base_of(args, kept):
    """The names of the model of the zoo that a network comes from; None if of elsewhere."""
    if kept is not None:
        return kept.settings.get('base')
    if args.from_scratch or args.pretrained_bert_parameters or args.model_parameters:
        return None
    return [args.bert_model, args.bert_dataset]


def save(args, model, result):
    """Write what belongs to the best epoch's parameters, and log which it is."""
    gb.task_folder.save_task(args.output_dir, model, result.best_path.name)
    cli.logger.info('best epoch %d: %s', result.best_epoch + 1, result.best_path)


def write_card(args, model, splits):
    """Write the model card."""
    gb.model_card.write_card(args.output_dir, model, splits, ['python', *sys.argv])
