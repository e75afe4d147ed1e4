// Softmax over the words of a vocabulary, some words at a time. Included by backend_*.cc.
#ifndef GLUON_BERT_MASKED_WORDS_H_
#define GLUON_BERT_MASKED_WORDS_H_

#include "backend.h"
#include "vector.h"

namespace {

constexpr int64_t kSumBlock = 16;  // words that are summed apart, for a smaller rounding error

// If a score is NaN, the largest may be another number, but the sum is NaN, and all that is computed
// of it.
inline void sum_exponentials(const WordScores& s, float* maxima, float* sums) {
  for (int64_t j = 0; j < s.positions; j += kColumns) {
    // Not minus infinity, from which a score of minus infinity could not be subtracted.
    Floats left = broadcast(kLowestScore), right = left, left_sum{}, right_sum{};
    for (int64_t i = 0; i < s.words; ++i) {
      const float* x = s.products + i * s.stride + j;
      left = larger(left, load(x) + s.bias[i]);
      right = larger(right, load(x + kLanes) + s.bias[i]);
    }
    for (int64_t begin = 0; begin < s.words; begin += kSumBlock) {
      const int64_t end = begin + kSumBlock < s.words ? begin + kSumBlock : s.words;
      Floats left_part{}, right_part{};
      for (int64_t i = begin; i < end; ++i) {
        const float* x = s.products + i * s.stride + j;
        left_part += exponential(load(x) + s.bias[i] - left);
        right_part += exponential(load(x + kLanes) + s.bias[i] - right);
      }
      left_sum += left_part;
      right_sum += right_part;
    }
    store(maxima + j, left);
    store(maxima + j + kLanes, right);
    store(sums + j, left_sum);
    store(sums + j + kLanes, right_sum);
  }
}

// A tile as high as one column of vectors allows, Rows x kLanes results. Sums are in the order of
// word_tile().
template <int Rows>
inline void narrow_tile(int64_t depth, const float* x, int64_t ldx, const float* panel, float* y,
                        int64_t ldy) {
  Floats sums[Rows];
#pragma GCC unroll 28
  for (int i = 0; i < Rows; ++i) {
    sums[i] = Floats{};
  }
  for (int64_t k = 0; k < depth; ++k, ++x, panel += kColumns) {
    const Floats b = load(panel);
#pragma GCC unroll 28
    for (int i = 0; i < Rows; ++i) {
      sums[i] += broadcast(x[i * ldx]) * b;
    }
  }
#pragma GCC unroll 28
  for (int i = 0; i < Rows; ++i) {
    store(y + i * ldy, sums[i]);
    store(y + i * ldy + kLanes, Floats{});
  }
}

inline bool dense_narrow(const Dense& layer, const float* x, int64_t ldx, int64_t rows, float* y,
                         int64_t ldy) {
  constexpr int64_t kTall = 2 * kRows;
  if (layer.precision != Precision::kFloat32 || layer.out > kLanes || rows < kTall) {
    return false;
  }
  for (int64_t i = 0; i < rows; i += kTall) {
    const int64_t top = i + kTall <= rows ? i : rows - kTall;  // the last tile may overlap
    narrow_tile<kTall>(layer.in, x + top * ldx, ldx, static_cast<const float*>(layer.panels),
                       y + top * ldy, ldy);
  }
  return true;
}

inline void scale_exponentials(const WordScores& s, const float* maxima, const float* factors,
                               float* sums) {
  for (int64_t i = 0; i < s.words; ++i) {
    Floats total{};
    float* x = s.products + i * s.stride;
    for (int64_t j = 0; j < s.positions; j += kLanes) {
      const Floats y = exponential(load(x + j) + s.bias[i] - load(maxima + j)) * load(factors + j);
      store(x + j, y);
      total += y;
    }
    sums[i] = sum(total);
  }
}

}  // namespace

#endif  // GLUON_BERT_MASKED_WORDS_H_
