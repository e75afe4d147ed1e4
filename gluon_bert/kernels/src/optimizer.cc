// One step of Adam for one parameter, and the sum of squares for clipping, each in one pass over
// memory.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "backend.h"

namespace {

constexpr int64_t kBlock = 4096;  // numbers that a thread takes at a time

}  // namespace

extern "C" {

// shrink: factor on the weight first (decoupled decay); decay: added to the gradient (L2).
void gluon_bert_adam(float* w, const float* g, float* m, float* v, int64_t size, float rate,
                     float beta1, float beta2, float eps, float shrink, float decay,
                     float rescale) {
  const AdamStep step{rate, beta1, beta2, eps, shrink, decay, rescale};
#pragma omp parallel for
  for (int64_t begin = 0; begin < size; begin += kBlock) {
    backend().adam(step, w + begin, g + begin, m + begin, v + begin,
                   std::min(kBlock, size - begin));
  }
}

// Blocks are added in their order, so that the sum is the same with any number of threads.
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
