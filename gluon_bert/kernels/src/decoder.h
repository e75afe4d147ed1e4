// Scores of all words at some positions, the decoder of a masked language model: a dense layer with
// the word embeddings as its weight. Included by masked_words*.cc and top_words.cc.
//
// Scores are computed for some words at a time and never stored. In a product the embeddings are the
// left matrix, read where they lie, and the positions, which are fewer, are packed. So in a block of
// scores each word is a row, each position a column. The order of all sums is independent of the
// number of threads.
//
// Letters: P positions, at most kPositions at a time; C units; V words.
#ifndef GLUON_BERT_DECODER_H_
#define GLUON_BERT_DECODER_H_

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "backend.h"
#include "thread_group.h"

namespace {

constexpr int64_t kPositions = 1024;
constexpr int64_t kWords = 256;  // of a chunk

inline int64_t block_count(int64_t count, int64_t size) { return (count + size - 1) / size; }

// The decoder, and the rows of `hidden` whose words are masked.
struct Decoder {
  const float *hidden, *weight, *bias;  // (rows, C), (V, C), (V,)
  const int64_t* rows;
  int64_t positions, units, vocab_size;
  Precision precision;

  int64_t chunks() const { return block_count(vocab_size, kWords); }
  int64_t most_positions() const { return std::min(positions, kPositions); }
  int64_t stride() const { return pad_columns(most_positions()) + kRowPad; }
};

// Buffers for the scores of some positions.
struct Scratch {
  Scratch(const Decoder& d, int64_t chunk_buffers, int threads)
      : hidden(d.most_positions() * d.units),
        panels(pad_columns(d.most_positions()) * word_count(d.precision, d.units)),
        zeros(std::max(d.stride(), pad_columns(d.units))),
        products(chunk_buffers * kWords * d.stride()),
        converted(d.precision == Precision::kFloat32 ? 0 : threads * kWords,
                  std::max(word_count(d.precision, d.units),
                           word_count(d.precision, d.most_positions()))) {
    std::fill_n(zeros.get(), std::max(d.stride(), pad_columns(d.units)), 0.0f);
  }
  FloatBuffer hidden;  // (P, C)
  FloatBuffer panels;  // the same, packed
  FloatBuffer zeros;   // biases of layers that have none
  FloatBuffer products;
  ConvertedRows converted;
};

// Some positions, as a thread sees them.
struct Block {
  const Decoder& decoder;
  const Scratch& scratch;
  ThreadGroup group;
  int64_t top, count;  // first position, number of positions

  // Pack the positions.
  Dense lay_out() const {
    const Decoder& d = decoder;
    float* hidden = scratch.hidden.get();
    for (int64_t p = group.begin(count); p < group.end(count); ++p) {
      std::copy_n(d.hidden + d.rows[top + p] * d.units, d.units, hidden + p * d.units);
    }
    group.barrier();
    const int64_t panels = pad_columns(count) / backend().columns;
    backend().lay_out(d.precision, hidden, 1, d.units, d.units, count, group.begin(panels),
                      group.end(panels), scratch.panels.get());
    group.barrier();
    return dense(scratch.panels.get(), d.units, count);
  }
  // A layer of packed positions.
  Dense dense(const float* panels, int64_t in, int64_t out) const {
    Dense dense;
    dense.precision = decoder.precision;
    dense.in = in;
    dense.out = out;
    dense.words = word_count(dense.precision, in);
    dense.panels = panels;
    dense.bias = scratch.zeros.get();
    return dense;
  }
  // Run a layer in this thread alone.
  void run(const Dense& dense, const float* x, int64_t ldx, int64_t rows, float* y,
           int64_t ldy) const {
    if (backend().dense_narrow(dense, x, ldx, rows, y, ldy)) {
      return;
    }
    const Input input = convert_rows(dense, x, ldx, rows, scratch.converted, ThreadGroup(),
                                     group.rank * kWords);
    run_panels(dense, kNone, input, 0, rows, 0, pad_columns(dense.out) / backend().columns, y,
               ldy);
  }
  // Compute the products of words from `begin` to `end`, at most kWords.
  WordScores scores(const Dense& layer, int64_t begin, int64_t end, float* products) const {
    const Decoder& d = decoder;
    run(layer, d.weight + begin * d.units, d.units, end - begin, products, d.stride());
    return {products, d.stride(), end - begin, pad_columns(count), d.bias + begin};
  }
};

// sizes: P, C, V, precision. arrays: hidden (rows, C), weight (V, C), bias (V,). rows: of each
// position.
inline Decoder make_decoder(const int64_t* sizes, const float* const* arrays, const int64_t* rows) {
  return {arrays[0], arrays[1], arrays[2], rows, sizes[0], sizes[1], sizes[2],
          precision_of(sizes[3])};
}

// Call function(top, count) for each block of positions.
template <class Function>
void each_block(const Decoder& d, Function function) {
  for (int64_t top = 0; top < d.positions; top += kPositions) {
    function(top, std::min(kPositions, d.positions - top));
  }
}

// Call function(number, scores) for each chunk of words; the group shares them.
template <class Function>
void each_chunk(const Block& block, Function function) {
  const Decoder& d = block.decoder;
  const Dense layer = block.lay_out();
  float* products = block.scratch.products.get() + block.group.rank * kWords * d.stride();
  for (int64_t n = block.group.begin(d.chunks()); n < block.group.end(d.chunks()); ++n) {
    const int64_t begin = n * kWords, end = std::min(begin + kWords, d.vocab_size);
    function(n, block.scores(layer, begin, end, products));
  }
  block.group.barrier();
}

// The largest score of each chunk at each position, and the sum of its exponentials.
struct Partial {
  explicit Partial(const Decoder& d)
      : stride(d.stride()), chunks(d.chunks()), maxima(chunks * stride), sums(chunks * stride) {}
  int64_t stride, chunks;
  FloatBuffer maxima, sums;

  void add(int64_t n, const WordScores& scores) const {
    backend().sum_exponentials(scores, maxima.get() + n * stride, sums.get() + n * stride);
  }
  float maximum(int64_t n, int64_t j) const { return maxima.get()[n * stride + j]; }
  // The maximum over all chunks.
  float maximum(int64_t j) const {
    float result = kLowestScore;
    for (int64_t n = 0; n < chunks; ++n) {
      result = std::max(result, maximum(n, j));
    }
    return result;
  }
  // The sum of exp(score - maximum) over all chunks.
  double sum(int64_t j, float maximum) const {
    double total = 0;
    for (int64_t n = 0; n < chunks; ++n) {
      total += std::exp(this->maximum(n, j) - maximum) * sums.get()[n * stride + j];
    }
    return total;
  }
};

}  // namespace

#endif  // GLUON_BERT_DECODER_H_
