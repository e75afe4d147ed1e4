// A step of Adam for an array of weights, and the sum of squares. Included by backend_*.cc.
#ifndef GLUON_BERT_ADAM_H_
#define GLUON_BERT_ADAM_H_

#include <limits>

#include "backend.h"
#include "vector.h"

namespace {

// Replace denormal numbers by 0: arithmetic with them is slow. A moment decays to one if its
// gradients stay 0, as those of words that occur in no text do.
inline Floats flush_denormals(Floats x) {
  const Floats least = broadcast(std::numeric_limits<float>::min());
  return larger(x, -x) < least ? Floats{} : x;
}

// Update a vector of weights w, with gradients g and moments m and v.
inline void adam_vector(const AdamStep& step, float* w, const float* g, float* m, float* v) {
  const Floats weight = load(w) * step.decay_factor;
  const Floats gradient = load(g) * step.rescale + step.weight_decay * weight;
  const Floats mean = flush_denormals(step.beta1 * load(m) + (1 - step.beta1) * gradient);
  const Floats variance =
      flush_denormals(step.beta2 * load(v) + (1 - step.beta2) * gradient * gradient);
  store(m, mean);
  store(v, variance);
  store(w, weight - step.lr * mean / (square_root(variance) + step.eps));
}

inline void adam(const AdamStep& step, float* w, const float* g, float* m, float* v,
                 int64_t count) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    adam_vector(step, w + i, g + i, m + i, v + i);
  }
  if (i < count) {
    float last[4][kLanes] = {};
    const size_t size = (count - i) * sizeof(float);
    std::memcpy(last[0], w + i, size);
    std::memcpy(last[1], g + i, size);
    std::memcpy(last[2], m + i, size);
    std::memcpy(last[3], v + i, size);
    adam_vector(step, last[0], last[1], last[2], last[3]);
    std::memcpy(w + i, last[0], size);
    std::memcpy(m + i, last[2], size);
    std::memcpy(v + i, last[3], size);
  }
}

inline float sum_of_squares(const float* x, int64_t count) {
  constexpr int kSums = 4;  // independent sums
  Floats sums[kSums]{};
  int64_t i = 0;
  for (; i + kSums * kLanes <= count; i += kSums * kLanes) {
    for (int n = 0; n < kSums; ++n) {
      const Floats y = load(x + i + n * kLanes);
      sums[n] += y * y;
    }
  }
  float total = sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
  for (; i < count; ++i) {
    total += x[i] * x[i];
  }
  return total;
}

}  // namespace

#endif  // GLUON_BERT_ADAM_H_
