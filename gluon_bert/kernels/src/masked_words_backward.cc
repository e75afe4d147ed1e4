// The backward pass of the loss of masked words, which computes their scores again.
#include <new>

#include "decoder.h"

namespace {

// The gradients of hidden, weight and bias; null if not needed. adds: 1 to add to one.
struct Gradients {
  float* const* targets;
  const uint8_t* adds;
};

void write(const float* source, int64_t count, bool add, float* target) {
  for (int64_t i = 0; i < count; ++i) {
    target[i] = add ? target[i] + source[i] : source[i];
  }
}

// What the backward pass reads: of each position.
struct Saved {
  const int32_t* words;
  const float *maxima, *sums, *gradient;
};

struct BackwardScratch {
  BackwardScratch(const Decoder& d, int threads)
      : panels(pad_columns(d.units) * word_count(d.precision, d.most_positions())),
        tiles(word_count(d.precision, kWords)
              * block_count(d.most_positions(), backend().rows) * backend().rows),
        weights(word_count(d.precision, kWords) * pad_columns(d.units)),
        hidden(d.most_positions() * d.units), words(threads * kWords * pad_columns(d.units)),
        maxima(d.stride()), factors(d.stride()), unused(d.stride() + backend().rows) {}
  FloatBuffer panels;           // positions, packed for the gradients of words
  FloatBuffer tiles, weights;   // gradients of scores and word embeddings, for those of positions
  FloatBuffer hidden;           // gradients of positions, (P, C)
  FloatBuffer words;            // gradients of a chunk of word embeddings, of each thread
  FloatBuffer maxima, factors;  // of positions, padded
  FloatBuffer unused;           // sums of gradients of scores
};

// The backward pass of some positions.
struct Backward {
  const Block& block;
  const Saved& saved;
  const BackwardScratch& scratch;
  const Gradients& gradients;

  // Pack the positions for the gradients of words, and pad what is known of them.
  Dense lay_out() const {
    const Decoder& d = block.decoder;
    const int64_t panels = pad_columns(d.units) / backend().columns;
    backend().lay_out(d.precision, block.scratch.hidden.get(), d.units, 1, block.count, d.units,
                      block.group.begin(panels), block.group.end(panels), scratch.panels.get());
    if (block.group.rank == 0) {
      for (int64_t j = 0; j < pad_columns(block.count); ++j) {
        const int64_t p = block.top + j;
        const bool is_padding = j >= block.count;
        scratch.maxima.get()[j] = is_padding ? -kLowestScore : saved.maxima[p];
        scratch.factors.get()[j] = is_padding ? 0 : saved.gradient[p] / saved.sums[p];
      }
    }
    block.group.barrier();
    return block.dense(scratch.panels.get(), block.count, d.units);
  }

  // Compute the gradients of the scores of words from `begin` to `end`, in place; those of the
  // weight and of the bias.
  void run_words(const Dense& layer, const Dense& of_words, int64_t begin, int64_t end,
                 float* products) const {
    const Decoder& d = block.decoder;
    const WordScores s = block.scores(layer, begin, end, products);
    float sums[kWords];
    backend().scale_exponentials(s, scratch.maxima.get(), scratch.factors.get(), sums);
    for (int64_t j = 0; j < block.count; ++j) {
      const int64_t p = block.top + j, word = saved.words[p] - begin;
      if (word >= 0 && word < s.words) {
        s.products[word * s.stride + j] -= saved.gradient[p];
        sums[word] -= saved.gradient[p];
      }
    }
    const bool continues = block.top > 0;
    if (float* bias = gradients.targets[2]) {
      write(sums, s.words, continues || gradients.adds[2], bias + begin);
    }
    if (float* weight = gradients.targets[1]) {
      const int64_t width = pad_columns(d.units);
      float* results = scratch.words.get() + block.group.rank * kWords * width;
      block.run(of_words, s.products, s.stride, s.words, results, width);
      for (int64_t i = 0; i < s.words; ++i) {
        write(results + i * width, d.units, continues || gradients.adds[1],
              weight + (begin + i) * d.units);
      }
    }
  }

  // Add what the words from `begin` on give to the gradients of the positions.
  void run_positions(int64_t begin, int64_t count, const float* products) const {
    const Decoder& d = block.decoder;
    const Backend& b = backend();
    const ThreadGroup& group = block.group;
    const int64_t panels = pad_columns(d.units) / b.columns,
                  tiles = block_count(block.count, b.rows);
    b.lay_out_transposed(d.precision, products, d.stride(), count, block.count,
                         group.begin(tiles), group.end(tiles), scratch.tiles.get(),
                         scratch.unused.get());
    b.lay_out(d.precision, d.weight + begin * d.units, d.units, 1, count, d.units,
              group.begin(panels), group.end(panels), scratch.weights.get());
    group.barrier();
    b.multiply_transposed(d.precision, scratch.tiles.get(), scratch.weights.get(), count,
                          block.count, d.units, group.begin(tiles), group.end(tiles), begin > 0,
                          scratch.hidden.get());
  }

  void run() const {
    const Decoder& d = block.decoder;
    const ThreadGroup& group = block.group;
    const Dense layer = block.lay_out(), of_words = lay_out();
    float* products = block.scratch.products.get();
    for (int64_t begin = 0; begin < d.vocab_size; begin += kWords) {
      const int64_t count = std::min(kWords, d.vocab_size - begin), own = group.begin(count);
      run_words(layer, of_words, begin + own, begin + group.end(count),
                products + own * d.stride());
      group.barrier();
      if (gradients.targets[0]) {
        run_positions(begin, count, products);
      }
    }
    group.barrier();
    if (float* hidden = gradients.targets[0]) {
      for (int64_t p = group.begin(block.count); p < group.end(block.count); ++p) {
        write(scratch.hidden.get() + p * d.units, d.units, gradients.adds[0],
              hidden + d.rows[block.top + p] * d.units);
      }
    }
    group.barrier();
  }
};

// Set the gradients to 0 that positions need not give: of rows without one, or all.
void clear(const Decoder& d, int64_t num_rows, const Gradients& g) {
  const int64_t sizes[] = {num_rows * d.units, d.vocab_size * d.units, d.vocab_size};
  for (int i = 0; i < 3; ++i) {
    if (g.targets[i] && !g.adds[i] && (i == 0 || !d.positions)) {
      std::fill_n(g.targets[i], sizes[i], 0.0f);
    }
  }
}

}  // namespace

extern "C" {

// Compute the gradients of hidden, weight and bias from those of the losses, (P,). num_rows: of
// hidden; the gradient of one that is at no position is 0. gradients: null if not needed. adds: for
// each of them, 1 to add to it or 0 to overwrite it. The other arguments are those of the forward
// pass, and its outputs. Returns 0, or 1 if there is no memory.
int gluon_bert_masked_words_backward(const int64_t* sizes, const float* const* arrays,
                                     const int64_t* rows, const int32_t* words, int threads,
                                     const float* maxima, const float* sums, const float* gradient,
                                     int64_t num_rows, float* const* gradients,
                                     const uint8_t* adds) try {
  const Decoder d = make_decoder(sizes, arrays, rows);
  const Gradients targets{gradients, adds};
  const Saved saved{words, maxima, sums, gradient};
  const Scratch scratch(d, 1, threads);
  const BackwardScratch own(d, threads);
  clear(d, num_rows, targets);
  run_parallel(threads, [&](const ThreadGroup& group) {
    each_block(d, [&](int64_t top, int64_t count) {
      const Block block{d, scratch, group, top, count};
      Backward{block, saved, own, targets}.run();
    });
  });
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

}  // extern "C"
