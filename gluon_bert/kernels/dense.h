// Dense layers over weights laid out once, and what stands between them. Included by backend_*.cc.
#ifndef GLUON_BERT_DENSE_H_
#define GLUON_BERT_DENSE_H_

#include "backend.h"
#include "vector.h"

namespace {

constexpr int64_t kDepth = 1024;       // of the products added up in registers at a time
constexpr int64_t kCached = 65536;     // floats of x that stay in the second-level cache

// erf(x / sqrt(2)) of |x|, within 2e-7: Abramowitz and Stegun (1964), 7.1.26.
inline Floats gelu(Floats x) {
  const Floats size = larger(x, -x) * 0.70710678f;
  const Floats t = 1.0f / (1.0f + 0.3275911f * size);
  Floats tail = same(1.061405429f);
  tail = tail * t - 1.453152027f;
  tail = tail * t + 1.421413741f;
  tail = tail * t - 0.284496736f;
  tail = tail * t + 0.254829592f;
  tail = tail * t * exponential(-size * size) * 0.5f;  // 1 - Phi(|x|)
  return x > 0.0f ? x - x * tail : x * tail;
}

inline Floats hyperbolic_tangent(Floats x) {
  const Floats bounded = smaller(larger(x, same(-15.0f)), same(15.0f));
  return 1.0f - 2.0f / (exponential(2.0f * bounded) + 1.0f);
}

inline Floats activate(Activation activation, Floats x) {
  switch (activation) {
    case kGelu:
      return gelu(x);
    case kGeluTanh:
      return 0.5f * x * (1.0f + hyperbolic_tangent(0.79788456f * (x + 0.044715f * x * x * x)));
    case kRelu:
      return larger(x, Floats{});
    case kTanh:
      return hyperbolic_tangent(x);
    default:
      return x;
  }
}

inline void pack(const float* weight, int64_t out, int64_t in, float* panels) {
  for (int64_t j = 0; j < out; j += kColumns) {
    for (int64_t k = 0; k < in; ++k) {
      for (int64_t c = 0; c < kColumns; ++c) {
        *panels++ = j + c < out ? weight[(j + c) * in + k] : 0.0f;
      }
    }
  }
}

// Finish results that lie in a tile: bias and activation.
inline void finish(float* y, int64_t ldy, int rows, const float* bias, Activation activation) {
  for (int c = 0; c < kColumns; c += kLanes) {
    const Floats b = load(bias + c);
    for (int i = 0; i < rows; ++i) {
      store(y + i * ldy + c, activate(activation, load(y + i * ldy + c) + b));
    }
  }
}

inline void dense(const Dense& layer, const float* x, int64_t ldx, int64_t rows, int64_t begin,
                  int64_t end, Activation activation, float* y, int64_t ldy) {
  const int64_t parts = (layer.in + kDepth - 1) / kDepth, depth = (layer.in + parts - 1) / parts;
  const int64_t cached = kCached / depth / kRows * kRows;
  for (int64_t top = 0; top < rows; top += cached) {
    const int64_t bottom = top + cached < rows ? top + cached : rows;
    // Tiles of nearly equal height: a low one is slower for each of its rows.
    const int64_t tiles = (bottom - top + kRows - 1) / kRows;
    for (int64_t k = 0; k < layer.in; k += depth) {
      const int64_t deep = layer.in - k < depth ? layer.in - k : depth;
      const bool last = k + deep == layer.in;
      for (int64_t panel = begin; panel < end; ++panel) {
        const float* weights = layer.panels + (panel * layer.in + k) * kColumns;
        for (int64_t n = 0; n < tiles; ++n) {
          const int64_t first = top + n * (bottom - top) / tiles;
          const int count = static_cast<int>(top + (n + 1) * (bottom - top) / tiles - first);
          float* target = y + first * ldy + panel * kColumns;
          Tiles<kRows>::run(count, deep, x + first * ldx + k, ldx, 1, weights, kColumns, target,
                            ldy, k > 0);
          if (last) {
            finish(target, ldy, count, layer.bias + panel * kColumns, activation);
          }
        }
      }
    }
  }
}

inline void add_norm(const float* x, const float* residual, const float* gamma, const float* beta,
                     int64_t units, float eps, float* y) {
  float total = 0, squares = 0;
  int64_t i = 0;
  Floats sums{};
  for (; i + kLanes <= units; i += kLanes) {
    const Floats z = load(x + i) + load(residual + i);
    store(y + i, z);
    sums += z;
  }
  for (; i < units; ++i) {
    y[i] = x[i] + residual[i];
    total += y[i];
  }
  const float mean = (total + sum(sums)) / units;
  sums = Floats{};
  for (i = 0; i + kLanes <= units; i += kLanes) {
    const Floats z = load(y + i) - mean;
    sums += z * z;
  }
  for (; i < units; ++i) {
    squares += (y[i] - mean) * (y[i] - mean);
  }
  const float scale = 1.0f / __builtin_sqrtf((squares + sum(sums)) / units + eps);
  for (i = 0; i + kLanes <= units; i += kLanes) {
    store(y + i, (load(y + i) - mean) * scale * load(gamma + i) + load(beta + i));
  }
  for (; i < units; ++i) {
    y[i] = (y[i] - mean) * scale * gamma[i] + beta[i];
  }
}

}  // namespace

#endif  // GLUON_BERT_DENSE_H_
