// A step of Adam for a parameter, and the sum of squares for gradient clipping, each in one pass
// over memory.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "backend.h"
#include "parallel.h"

namespace {

constexpr int64_t kBlock = 4096;  // numbers that a thread takes at a time

// Call function(number) for each block of an array of this size.
template <class Function>
void each_block(int64_t size, Function function) {
  const int64_t count = (size + kBlock - 1) / kBlock;
  run_parallel(static_cast<int>(std::min<int64_t>(default_threads(), std::max<int64_t>(count, 1))),
               [&](const ThreadGroup& group) {
                 for (int64_t n = group.begin(count); n < group.end(count); ++n) {
                   function(n);
                 }
               });
}

}  // namespace

extern "C" {

// Update w, m and v in place; AdamStep describes the arguments.
void gluon_bert_adam(float* w, const float* g, float* m, float* v, int64_t size, float lr,
                     float beta1, float beta2, float eps, float decay_factor, float weight_decay,
                     float rescale) {
  const AdamStep step{lr, beta1, beta2, eps, decay_factor, weight_decay, rescale};
  each_block(size, [&](int64_t n) {
    const int64_t begin = n * kBlock;
    backend().adam(step, w + begin, g + begin, m + begin, v + begin,
                   std::min(kBlock, size - begin));
  });
}

// Block sums are added in order, so that the result does not depend on the number of threads.
double gluon_bert_sum_of_squares(const float* x, int64_t size) {
  std::vector<float> sums((size + kBlock - 1) / kBlock);
  each_block(size, [&](int64_t n) {
    sums[n] = backend().sum_of_squares(x + n * kBlock, std::min(kBlock, size - n * kBlock));
  });
  double total = 0;
  for (float sum : sums) {
    total += sum;
  }
  return total;
}

}  // extern "C"
