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


def main(folder, text, output, engine, num_workers):
    """Predict in small shards; ``ready`` is printed when the work begins."""
    import gluon_bert as gb
    from gluon_bert.batch import PredictStage, Workers, run_batch

    stage = PredictStage(gb.load_pipeline(folder))
    sys.stdout.write('ready\n')
    sys.stdout.flush()
    run_batch(stage, text, output, shard_size=400, num_workers=Workers(int(num_workers), engine))


if __name__ == '__main__':
    main(*sys.argv[1:])
