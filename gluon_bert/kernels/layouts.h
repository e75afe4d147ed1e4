// Matrices laid out as words, for products that read them in order. Included by backend_*.cc.
#ifndef GLUON_BERT_LAYOUTS_H_
#define GLUON_BERT_LAYOUTS_H_

#include "backend.h"
#include "low_precision.h"
#include "vector.h"

namespace {

inline uint32_t bits_of(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

// `Width` columns of b, which lie side by side, as words from row to row.
template <int Width>
inline void lay_out_rows(Precision precision, const float* b, int64_t row, int64_t depth,
                         int64_t columns, uint32_t* target) {
  if (precision == Precision::kFloat32) {
    for (int64_t k = 0; k < depth; ++k, b += row, target += Width) {
      if (columns >= Width) {
        std::memcpy(target, b, Width * sizeof(float));
      } else {
        for (int64_t j = 0; j < Width; ++j) {
          target[j] = j < columns ? bits_of(b[j]) : 0;
        }
      }
    }
    return;
  }
  for (int64_t k = 0; k < depth; k += 2, b += 2 * row, target += Width) {
    if (columns >= Width && k + 1 < depth) {
      int j = 0;
      for (; j + kLanes <= Width; j += kLanes) {
        const Words both = pair(load(b + j), load(b + row + j));
        std::memcpy(target + j, &both, sizeof both);
      }
      for (; j < Width; ++j) {
        target[j] = pair(b[j], b[row + j]);
      }
    } else {
      for (int64_t j = 0; j < Width; ++j) {
        target[j] = j < columns ? pair(b[j], k + 1 < depth ? b[row + j] : 0.0f) : 0;
      }
    }
  }
}

// A panel of columns whose numbers lie side by side.
inline void lay_out_columns(Precision precision, const float* b, int64_t column, int64_t depth,
                            int64_t columns, uint32_t* target) {
  constexpr int64_t kStretch = 32;  // of each column at a time, an even number
  const bool is_float32 = precision == Precision::kFloat32;
  for (int64_t k = 0; k < depth; k += kStretch) {
    const int64_t count = depth - k < kStretch ? depth - k : kStretch;
    const int64_t words = words_of(precision, count);
    uint32_t* begin = target + words_of(precision, k) * kColumns;
    for (int64_t j = 0; j < kColumns; ++j) {
      const float* source = b + j * column + k;
      for (int64_t n = 0; n < words; ++n) {
        if (j >= columns) {
          begin[n * kColumns + j] = 0;
        } else if (is_float32) {
          begin[n * kColumns + j] = bits_of(source[n]);
        } else {
          begin[n * kColumns + j] =
              pair(source[2 * n], 2 * n + 1 < count ? source[2 * n + 1] : 0.0f);
        }
      }
    }
  }
}

}  // namespace

#endif  // GLUON_BERT_LAYOUTS_H_
