"""A stream of training batches whose length nobody knows; used by tests and their processes."""

import mxnet as mx
import numpy as np


class Stream:
    """Batches made as they are read, each a function of its number.

    ``limit`` ends each pass after so many; ``broken_at`` raises instead of making that batch. Each
    process gets its rows of a batch.
    """

    def __init__(self, batch_size=8, limit=None, broken_at=None):
        self.batch_size, self.limit, self.broken_at = batch_size, limit, broken_at

    def batches(self, rank, size):
        return StreamBatches(self, rank, size)

    def share(self, number, rank, size):
        inputs, labels = self.make(number)
        rows = np.array_split(np.arange(self.batch_size), size)[rank]
        if not len(rows):
            return None
        first, last = int(rows[0]), int(rows[-1])
        return tuple(array[first : last + 1] for array in inputs), labels[first : last + 1]

    def make(self, number):
        if number == self.broken_at:
            raise OSError('the stream broke off')
        rng = np.random.RandomState(number)
        lengths = rng.randint(3, 12, self.batch_size)
        ids = rng.randint(10, 90, (self.batch_size, lengths.max()))
        labels = rng.randint(0, 2, self.batch_size)
        ids[labels == 1] = 7
        arrays = (ids, np.zeros_like(ids), lengths)
        return tuple(mx.nd.array(array, dtype='float32') for array in arrays), mx.nd.array(labels)


class StreamBatches:
    """What the loop reads of a :class:`Stream`."""

    num_batches = None

    def __init__(self, stream, rank, size):
        self.stream, self.rank, self.size = stream, rank, size
        self.epoch, self.read = 0, 0

    def __iter__(self):
        limit = self.stream.limit
        while limit is None or self.read < limit:
            number = self.read + 1000 * self.epoch
            self.read += 1
            yield self.stream.share(number, self.rank, self.size)
        self.epoch, self.read = self.epoch + 1, 0

    def state_dict(self):
        return {'epoch': self.epoch, 'read': self.read}

    def load_state_dict(self, state):
        self.epoch, self.read = state['epoch'], state['read']
