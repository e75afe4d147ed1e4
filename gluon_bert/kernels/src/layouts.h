// Packing of matrices into words, in the order in which products read them. Included by
// backend_*.cc.
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

// A word that holds one number.
inline uint32_t word_of(Precision precision, float x) {
  return precision == Precision::kRounded ? bfloat16(x) << 16 : bits_of(x);
}

// Pack `Width` adjacent columns of b, row by row.
template <int Width>
inline void lay_out_rows(Precision precision, const float* b, int64_t row, int64_t depth,
                         int64_t columns, uint32_t* target) {
  if (precision != Precision::kBFloat16) {
    for (int64_t k = 0; k < depth; ++k, b += row, target += Width) {
      if (columns < Width) {
        for (int64_t j = 0; j < Width; ++j) {
          target[j] = j < columns ? word_of(precision, b[j]) : 0;
        }
      } else if (precision == Precision::kRounded) {
        round_row(b, Width, target);
      } else {
        std::memcpy(target, b, Width * sizeof(float));
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

// Read a square of kLanes rows, `stride` floats apart, and transpose it.
inline void read_square(const float* source, int64_t stride, Floats* columns) {
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) {
    __builtin_prefetch(source + i * stride + 2 * kLanes);  // of the square after next
    columns[i] = load(source + i * stride);
  }
  transpose_vectors(columns);
}

// Pack a square of a panel: kLanes numbers of kLanes columns, each contiguous.
inline void lay_out_square(Precision precision, const float* b, int64_t column, uint32_t* target) {
  Floats rows[kLanes];
  read_square(b, column, rows);
  if (precision == Precision::kRounded) {
#pragma GCC unroll 16
    for (int k = 0; k < kLanes; ++k) {
      const Words numbers = rounded_floats(rows[k]);
      std::memcpy(target + k * kColumns, &numbers, sizeof numbers);
    }
  } else if (precision == Precision::kFloat32) {
#pragma GCC unroll 16
    for (int k = 0; k < kLanes; ++k) {
      std::memcpy(target + k * kColumns, &rows[k], sizeof rows[k]);
    }
  } else {
#pragma GCC unroll 16
    for (int k = 0; k < kLanes; k += 2) {
      const Words both = pair(rows[k], rows[k + 1]);
      std::memcpy(target + k / 2 * kColumns, &both, sizeof both);
    }
  }
}

// Pack a panel of columns, each contiguous.
inline void lay_out_columns(Precision precision, const float* b, int64_t column, int64_t depth,
                            int64_t columns, uint32_t* target) {
  const int64_t per_word = precision == Precision::kBFloat16 ? 2 : 1;  // numbers
  for (int64_t k = 0; k < depth; k += kLanes, target += kLanes / per_word * kColumns) {
    const int64_t count = depth - k < kLanes ? depth - k : kLanes;
    for (int64_t j = 0; j < kColumns; j += kLanes) {
      if (count == kLanes && j + kLanes <= columns) {
        lay_out_square(precision, b + j * column + k, column, target + j);
        continue;
      }
      for (int64_t i = j; i < j + kLanes; ++i) {
        const float* source = b + i * column + k;
        for (int64_t n = 0; n < count; n += per_word) {
          uint32_t* word = target + n / per_word * kColumns + i;
          if (i >= columns) {
            *word = 0;
          } else if (per_word == 1) {
            *word = word_of(precision, source[n]);
          } else {
            *word = pair(source[n], n + 1 < count ? source[n + 1] : 0.0f);
          }
        }
      }
    }
  }
}

}  // namespace

#endif  // GLUON_BERT_LAYOUTS_H_
