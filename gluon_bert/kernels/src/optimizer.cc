// A step of Adam for a parameter, and the sum of squares for gradient clipping, each in one pass
// over memory.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "backend.h"

namespace {

constexpr int64_t kBlock = 4096;  // numbers that a thread takes at a time

}  // namespace

extern "C" {

// Update w, m and v in place; AdamStep describes the arguments.
void gluon_bert_adam(float* w, const float* g, float* m, float* v, int64_t size, float lr,
                     float beta1, float beta2, float eps, float decay_factor, float weight_decay,
                     float rescale) {
  const AdamStep step{lr, beta1, beta2, eps, decay_factor, weight_decay, rescale};
#pragma omp parallel for
  for (int64_t begin = 0; begin < size; begin += kBlock) {
    backend().adam(step, w + begin, g + begin, m + begin, v + begin,
                   std::min(kBlock, size - begin));
  }
}

// Block sums are added in order, so that the result does not depend on the number of threads.
double gluon_bert_sum_of_squares(const float* x, int64_t size) {
  std::vector<float> sums((size + kBlock - 1) / kBlock);
#pragma omp parallel for
  for (int64_t b = 0; b < static_cast<int64_t>(sums.size()); ++b) {
    sums[b] = backend().sum_of_squares(x + b * kBlock, std::min(kBlock, size - b * kBlock));
  }
  double total = 0;
  for (float sum : sums) {
    total += sum;
  }
  return total;
}

}  // extern "C"
