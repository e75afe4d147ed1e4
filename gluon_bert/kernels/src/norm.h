// Layer normalisation of a row. Included by backend_*.cc.
#ifndef GLUON_BERT_NORM_H_
#define GLUON_BERT_NORM_H_

#include "backend.h"
#include "vector.h"

namespace {

struct Moments {
  float mean, scale;  // scale: 1 / sqrt(variance + eps)
};

inline Moments moments(const Norm& norm, const float* x) {
  const int64_t units = norm.units;
  Floats sums{};
  float total = 0, squares = 0;
  int64_t i = 0;
  for (; i + kLanes <= units; i += kLanes) {
    sums += load(x + i);
  }
  for (; i < units; ++i) {
    total += x[i];
  }
  const float mean = (total + sum(sums)) / units;
  sums = Floats{};
  for (i = 0; i + kLanes <= units; i += kLanes) {
    const Floats z = load(x + i) - mean;
    sums += z * z;
  }
  for (; i < units; ++i) {
    squares += (x[i] - mean) * (x[i] - mean);
  }
  return {mean, 1.0f / __builtin_sqrtf((squares + sum(sums)) / units + norm.eps)};
}

inline void normalize(const Norm& norm, const float* x, float* y) {
  const Moments m = moments(norm, x);
  int64_t i = 0;
  for (; i + kLanes <= norm.units; i += kLanes) {
    store(y + i, (load(x + i) - m.mean) * m.scale * load(norm.gamma + i) + load(norm.beta + i));
  }
  for (; i < norm.units; ++i) {
    y[i] = (x[i] - m.mean) * m.scale * norm.gamma[i] + norm.beta[i];
  }
}

inline void add_norm(const Norm& norm, const float* x, const float* residual, float* y) {
  int64_t i = 0;
  for (; i + kLanes <= norm.units; i += kLanes) {
    store(y + i, load(x + i) + load(residual + i));
  }
  for (; i < norm.units; ++i) {
    y[i] = x[i] + residual[i];
  }
  normalize(norm, y, y);
}

}  // namespace

#endif  // GLUON_BERT_NORM_H_
