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
