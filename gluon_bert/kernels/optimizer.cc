// One step of Adam for one parameter, and the sum of squares for clipping, each in one pass over
// memory.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

// One build is right on every processor: the loader picks the widest version that runs there.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define DISPATCHED __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define DISPATCHED
#endif

namespace {

constexpr int64_t kBlock = 4096;  // numbers that a thread takes at a time

DISPATCHED void adam_block(float* w, const float* g, float* m, float* v, int64_t count, float rate,
                           float beta1, float beta2, float eps, float shrink, float decay,
                           float rescale) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const float weight = w[i] * shrink;
    const float gradient = g[i] * rescale + decay * weight;
    m[i] = beta1 * m[i] + (1 - beta1) * gradient;
    const float square = beta2 * v[i] + (1 - beta2) * gradient * gradient;
    // The fast square root gives NaN for a number so small that it is not normal.
    v[i] = square < std::numeric_limits<float>::min() ? 0.0f : square;
    w[i] = weight - rate * m[i] / (std::sqrt(v[i]) + eps);
  }
}

DISPATCHED float square_block(const float* x, int64_t count) {
  float total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t i = 0; i < count; ++i) {
    total += x[i] * x[i];
  }
  return total;
}

}  // namespace

extern "C" {

// shrink: factor on the weight first (decoupled decay); decay: added to the gradient (L2).
void gluon_bert_adam(float* w, const float* g, float* m, float* v, int64_t size, float rate,
                     float beta1, float beta2, float eps, float shrink, float decay,
                     float rescale) {
#pragma omp parallel for
  for (int64_t begin = 0; begin < size; begin += kBlock) {
    adam_block(w + begin, g + begin, m + begin, v + begin, std::min(kBlock, size - begin), rate,
               beta1, beta2, eps, shrink, decay, rescale);
  }
}

// Blocks are added in their order, so that the sum is the same with any number of threads.
double gluon_bert_sum_of_squares(const float* x, int64_t size) {
  std::vector<float> sums((size + kBlock - 1) / kBlock);
#pragma omp parallel for
  for (int64_t b = 0; b < static_cast<int64_t>(sums.size()); ++b) {
    sums[b] = square_block(x + b * kBlock, std::min(kBlock, size - b * kBlock));
  }
  double total = 0;
  for (float sum : sums) {
    total += sum;
  }
  return total;
}

}  // extern "C"
