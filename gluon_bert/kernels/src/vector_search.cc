// Vectors in lower precision, for search: to float, and distances of binary codes.
//
// Letters: N vectors of C units, W words of 64 bits; Q queries.
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "parallel.h"

namespace {

// A finite half-precision number as a float: its exponent is moved by a product, which also makes
// subnormal numbers right.
inline float widen(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t rest = static_cast<uint32_t>(half & 0x7fffu) << 13;
  float value;
  std::memcpy(&value, &rest, 4);
  value *= 0x1p112f;
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  bits |= sign;
  std::memcpy(&value, &bits, 4);
  return value;
}

// A call with one thread at a time: rows from `begin` to `end`.
inline void distances(const uint64_t* query, const uint64_t* codes, int64_t words, int64_t begin,
                      int64_t end, int32_t* out) {
  for (int64_t i = begin; i < end; ++i) {
    int32_t sum = 0;
    for (int64_t w = 0; w < words; ++w) {
      sum += __builtin_popcountll(query[w] ^ codes[i * words + w]);
    }
    out[i] = sum;
  }
}

#if defined(__x86_64__)
__attribute__((target("popcnt"))) void distances_popcnt(const uint64_t* query,
                                                        const uint64_t* codes, int64_t words,
                                                        int64_t begin, int64_t end,
                                                        int32_t* out) {
  for (int64_t i = begin; i < end; ++i) {
    int32_t sum = 0;
    for (int64_t w = 0; w < words; ++w) {
      sum += __builtin_popcountll(query[w] ^ codes[i * words + w]);
    }
    out[i] = sum;
  }
}
#endif

}  // namespace

extern "C" {

// Convert half-precision numbers to floats; all are finite.
void gluon_bert_widen_half(const uint16_t* x, int64_t count, int threads, float* y) {
  run_parallel(threads, [&](const ThreadGroup& group) {
    for (int64_t i = group.begin(count); i < group.end(count); ++i) {
      y[i] = widen(x[i]);
    }
  });
}

// Convert rows of small whole numbers to floats, each row times its scale: (N, C).
void gluon_bert_widen_int8(const int8_t* x, const float* scales, int64_t rows, int64_t units,
                           int threads, float* y) {
  run_parallel(threads, [&](const ThreadGroup& group) {
    for (int64_t i = group.begin(rows); i < group.end(rows); ++i) {
      for (int64_t c = 0; c < units; ++c) {
        y[i * units + c] = scales[i] * static_cast<float>(x[i * units + c]);
      }
    }
  });
}

// Count the bits in which codes (N, W) differ from those of queries (Q, W): out, (Q, N).
void gluon_bert_hamming(const uint64_t* queries, const uint64_t* codes, int64_t num_queries,
                        int64_t rows, int64_t words, int threads, int32_t* out) {
  auto count = distances;
#if defined(__x86_64__)
  __builtin_cpu_init();
  count = __builtin_cpu_supports("popcnt") ? distances_popcnt : distances;
#endif
  run_parallel(threads, [&](const ThreadGroup& group) {
    constexpr int64_t kBlock = 4096;  // codes that stay in the cache for all queries
    const int64_t last = group.end(rows);
    for (int64_t begin = group.begin(rows); begin < last; begin += kBlock) {
      const int64_t end = std::min(last, begin + kBlock);
      for (int64_t q = 0; q < num_queries; ++q) {
        count(queries + q * words, codes, words, begin, end, out + q * rows);
      }
    }
  });
}

}  // extern "C"
