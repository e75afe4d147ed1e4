"""Files of inputs for shards, and a program that is killed while it works on them."""

import random
import sys

PLAIN = 'the a cat dog sleeps barks loud here with out sun moon'.split()  # of the tiny vocabulary


def sentences(count, seed=0):
    """Lines of a few words, some of them empty, but for the last."""
    rng = random.Random(seed)
    rows = [' '.join(rng.choices(PLAIN, k=rng.randrange(0, 9))) for _ in range(count - 1)]
    return [*rows, 'the cat sleeps']


def write_text(path, count, seed=0):
    path.write_text('\n'.join(sentences(count, seed)) + '\n\n')
    return path


def say_ready():
    sys.stdout.write('ready\n')
    sys.stdout.flush()


def predict(folder, text, output, engine, num_workers):
    """Predict in small shards."""
    import gluon_bert as gb
    from gluon_bert.batch import PredictStage, Workers, run_batch

    stage, size = PredictStage(gb.load_pipeline(folder)), 3000 if engine == 'ray' else 400
    say_ready()
    run_batch(stage, text, output, shard_size=size, num_workers=Workers(int(num_workers), engine))


def records(folder, text, bad, *outputs):
    """Predict a text that is refused, and make records to pre-train on, by two actors."""
    import gluon_bert as gb
    from gluon_bert.batch import PredictStage, Workers, run_batch
    from gluon_bert.data import PretrainingDataOptions, create_pretraining_data

    pipeline, options = gb.load_pipeline(folder), PretrainingDataOptions(dupe_factor=2)
    workers, output = Workers(2, 'ray'), f'{outputs[0]}.jsonl'
    say_ready()
    try:
        run_batch(PredictStage(pipeline), bad, output, shard_size=3000, num_workers=workers)
    except ValueError as error:
        sys.stderr.write(f'refused: {error}\n')
    create_pretraining_data(text, outputs, pipeline.tokenizer, options, num_workers=workers)


if __name__ == '__main__':
    {'predict': predict, 'records': records}[sys.argv[1]](*sys.argv[2:])
