// Adam for some numbers of a parameter, and the sum of squares. Included by backend_*.cc.
#ifndef GLUON_BERT_ADAM_H_
#define GLUON_BERT_ADAM_H_

#include <limits>

#include "backend.h"
#include "vector.h"

namespace {

// What is so small that it is not normal is slow: it becomes 0. A moment whose gradients are 0, as
// of a word that no text has, gets there.
inline Floats normal(Floats x) {
  const Floats least = same(std::numeric_limits<float>::min());
  return larger(x, -x) < least ? Floats{} : x;
}

// One vector of weights w, gradients g and moments m and v.
inline void adam_vector(const AdamStep& step, float* w, const float* g, float* m, float* v) {
  const Floats weight = load(w) * step.shrink;
  const Floats gradient = load(g) * step.rescale + step.decay * weight;
  const Floats mean = normal(step.beta1 * load(m) + (1 - step.beta1) * gradient);
  const Floats variance = normal(step.beta2 * load(v) + (1 - step.beta2) * gradient * gradient);
  store(m, mean);
  store(v, variance);
  store(w, weight - step.rate * mean / (square_root(variance) + step.eps));
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
  constexpr int kSums = 4;  // that do not wait for each other
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
