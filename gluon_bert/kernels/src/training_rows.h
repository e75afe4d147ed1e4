// Functions of one row in training: dropout, norm and activations, forward and backward. Included
// by backend_*.cc.
#ifndef GLUON_BERT_TRAINING_ROWS_H_
#define GLUON_BERT_TRAINING_ROWS_H_

#include "backend.h"
#include "dense.h"
#include "norm.h"
#include "random.h"
#include "vector.h"

namespace {

// Dropout factors of a row: 0 or 1 / (1 - p). The random number of a column is a hash of its index,
// by the finaliser of MurmurHash3 (Appleby).
class Factors {
 public:
  Factors(const Dropout& dropout, int64_t row)
      : threshold_(threshold(dropout.rate) >> 8), keep_scale_(1.0f / (1.0f - dropout.rate)) {
    uint64_t state = dropout.seed + 0x9e3779b97f4a7c15ULL * static_cast<uint64_t>(row);
    const uint64_t key = split_mix(&state);
    for (int lane = 0; lane < kLanes; ++lane) {
      counter_[lane] = static_cast<uint32_t>(lane) * kStep + static_cast<uint32_t>(key);
    }
    key_ = static_cast<uint32_t>(key >> 32);
  }

  Floats next() {
    Words x = counter_ ^ key_;
    counter_ += kLanes * kStep;
    x = (x ^ (x >> 16)) * 0x85ebca6bu;
    x = (x ^ (x >> 13)) * 0xc2b2ae35u;
    x ^= x >> 16;
    // Shifted right they are positive as signed numbers, which compare faster.
    const Ints drawn = reinterpret_cast<Ints>(x >> 8);
    return drawn >= static_cast<int32_t>(threshold_) ? broadcast(keep_scale_) : Floats{};
  }

 private:
  static constexpr uint32_t kStep = 0x9e3779b1u;
  Words counter_;
  uint32_t key_, threshold_;
  float keep_scale_;
};

inline void drop(const float* x, const float* residual, const Dropout& dropout, int64_t row,
                 int64_t count, float* y) {
  Factors factors(dropout, row);
  for (int64_t i = 0; i < count; i += kLanes) {
    Floats value = load(x + i);
    if (dropout.rate > 0) {
      value *= factors.next();
    }
    store(y + i, residual ? load(residual + i) + value : value);
  }
}

// With the normalised row h and t = dy gamma: dx = scale (t - mean(t) - h mean(t h)).
inline void normalize_backward(const Norm& norm, const float* dy, const float* x, float* dx,
                               float* dgamma, float* dbeta) {
  const Moments m = moments(norm, x);
  Floats sums{}, products{};
  float total = 0, product = 0;
  int64_t i = 0;
  for (; i + kLanes <= norm.units; i += kLanes) {
    const Floats gradient = load(dy + i), h = (load(x + i) - m.mean) * m.scale;
    const Floats t = gradient * load(norm.gamma + i);
    sums += t;
    products += t * h;
    store(dgamma + i, load(dgamma + i) + gradient * h);
    store(dbeta + i, load(dbeta + i) + gradient);
  }
  for (; i < norm.units; ++i) {
    const float h = (x[i] - m.mean) * m.scale, t = dy[i] * norm.gamma[i];
    total += t;
    product += t * h;
    dgamma[i] += dy[i] * h;
    dbeta[i] += dy[i];
  }
  total = (total + sum(sums)) / norm.units;
  product = (product + sum(products)) / norm.units;
  for (i = 0; i + kLanes <= norm.units; i += kLanes) {
    const Floats h = (load(x + i) - m.mean) * m.scale;
    store(dx + i, m.scale * (load(dy + i) * load(norm.gamma + i) - total - h * product));
  }
  for (; i < norm.units; ++i) {
    const float h = (x[i] - m.mean) * m.scale;
    dx[i] = m.scale * (dy[i] * norm.gamma[i] - total - h * product);
  }
}

inline void activate_row(Activation activation, const float* x, int64_t count, float* y) {
  for (int64_t i = 0; i < count; i += kLanes) {
    store(y + i, activate(activation, load(x + i)));
  }
}

// Return the derivative at x and write the value to y.
inline Floats derivative(Activation activation, Floats x, Floats* y) {
  if (activation == kGelu) {
    const Floats share = normal_distribution(x);
    *y = gelu(x, share);
    return share + x * exponential(-0.5f * x * x) * 0.39894228f;
  }
  if (activation == kGeluTanh) {
    const Floats t = hyperbolic_tangent(0.79788456f * (x + 0.044715f * x * x * x));
    *y = 0.5f * x * (1.0f + t);
    return 0.5f * (1.0f + t)
           + 0.5f * x * (1.0f - t * t) * 0.79788456f * (1.0f + 0.134145f * x * x);
  }
  *y = larger(Floats{}, x);
  return x > 0.0f ? broadcast(1.0f) : Floats{};
}

inline void activate_backward(Activation activation, const float* x, int64_t count,
                              float* gradient, float* y) {
  for (int64_t i = 0; i < count; i += kLanes) {
    Floats value;
    const Floats slope = derivative(activation, load(x + i), &value);
    store(gradient + i, load(gradient + i) * slope);
    store(y + i, value);
  }
}

}  // namespace

#endif  // GLUON_BERT_TRAINING_ROWS_H_
