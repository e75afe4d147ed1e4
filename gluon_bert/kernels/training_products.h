// The products of a training step: weights laid out anew for each, and gradients of weights, which
// are products of two matrices over all rows. Included by backend_*.cc.
#ifndef GLUON_BERT_TRAINING_PRODUCTS_H_
#define GLUON_BERT_TRAINING_PRODUCTS_H_

#include "backend.h"
#include "dense.h"
#include "layouts.h"
#include "low_precision.h"
#include "vector.h"

namespace {

inline void lay_out(Precision precision, const float* b, int64_t row, int64_t column,
                    int64_t depth, int64_t columns, int64_t begin, int64_t end, void* panels) {
  const int64_t size = words_of(precision, depth) * kColumns;
  for (int64_t panel = begin; panel < end; ++panel) {
    const int64_t first = panel * kColumns;
    uint32_t* target = static_cast<uint32_t*>(panels) + panel * size;
    if (column == 1) {
      lay_out_rows<kColumns>(precision, b + first, row, depth, columns - first, target);
    } else {
      lay_out_columns(precision, b + first * column, column, depth, columns - first, target);
    }
  }
}

inline void lay_out_transposed(Precision precision, const float* y, int64_t ldy, int64_t depth,
                               int64_t columns, int64_t begin, int64_t end, void* tiles,
                               float* sums) {
  constexpr int64_t kStretch = 32;  // rows that are read at a time, an even number
  const int64_t words = words_of(precision, depth);
  const int64_t last = end * kRows < columns ? end * kRows : columns;
  for (int64_t k = 0; k < depth; k += kStretch, y += kStretch * ldy) {
    const int64_t count = depth - k < kStretch ? depth - k : kStretch;
    for (int64_t tile = begin; tile < end; ++tile) {
      lay_out_rows<kRows>(precision, y + tile * kRows, ldy, count, columns - tile * kRows,
                          static_cast<uint32_t*>(tiles)
                              + (tile * words + words_of(precision, k)) * kRows);
    }
    for (int64_t n = 0; n < count; ++n) {
      for (int64_t j = begin * kRows; j < last; ++j) {
        sums[j] += y[n * ldy + j];
      }
    }
  }
}

inline void multiply_tile(Precision precision, int64_t words, const uint32_t* a,
                          const uint32_t* b, float* c, int64_t ldc, bool add) {
  if (precision == Precision::kFloat32) {
    word_tile<Float32Product, kRows>(words, a, 1, kRows, b, c, ldc, add, 0);
  } else {
    word_tile<BFloat16Product, kRows>(words, a, 1, kRows, b, c, ldc, add, 0);
  }
}

// A tile at the edge of c, of which only some rows and columns are there.
inline void multiply_edge(Precision precision, int64_t words, const uint32_t* a, const uint32_t* b,
                          int64_t rows, int64_t columns, float* c, int64_t ldc, bool add) {
  float whole[kRows * kColumns] = {};
  for (int64_t i = 0; i < rows && add; ++i) {
    std::memcpy(whole + i * kColumns, c + i * ldc, columns * sizeof(float));
  }
  multiply_tile(precision, words, a, b, whole, kColumns, true);
  for (int64_t i = 0; i < rows; ++i) {
    std::memcpy(c + i * ldc, whole + i * kColumns, columns * sizeof(float));
  }
}

inline void multiply_transposed(Precision precision, const void* tiles, const void* panels,
                                int64_t depth, int64_t rows, int64_t columns, int64_t begin,
                                int64_t end, bool add, float* c) {
  const uint32_t *a = static_cast<const uint32_t*>(tiles),
                 *b = static_cast<const uint32_t*>(panels);
  const int64_t words = words_of(precision, depth), most = kCached / kSlice / kRows;
  for (int64_t top = begin; top < end; top += most) {
    const int64_t bottom = end - top < most ? end : top + most;
    for (int64_t k = 0; k < words; k += kSlice) {
      const int64_t deep = words - k < kSlice ? words - k : kSlice;
      for (int64_t panel = 0; panel * kColumns < columns; ++panel) {
        const int64_t wide = columns - panel * kColumns;
        for (int64_t tile = top; tile < bottom; ++tile) {
          const int64_t tall = rows - tile * kRows;
          const uint32_t *left = a + (tile * words + k) * kRows,
                         *right = b + (panel * words + k) * kColumns;
          float* target = c + tile * kRows * columns + panel * kColumns;
          if (wide >= kColumns && tall >= kRows) {
            multiply_tile(precision, deep, left, right, target, columns, add || k > 0);
          } else {
            multiply_edge(precision, deep, left, right, tall < kRows ? tall : kRows,
                          wide < kColumns ? wide : kColumns, target, columns, add || k > 0);
          }
        }
      }
    }
  }
}

}  // namespace

#endif  // GLUON_BERT_TRAINING_PRODUCTS_H_
