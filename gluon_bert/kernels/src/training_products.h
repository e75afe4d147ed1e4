// Products of a training step: packing of weights, which change with every step, and gradients of
// weights, which are sums over all rows. Included by backend_*.cc.
#ifndef GLUON_BERT_TRAINING_PRODUCTS_H_
#define GLUON_BERT_TRAINING_PRODUCTS_H_

#include "backend.h"
#include "dense.h"
#include "layouts.h"
#include "low_precision.h"
#include "vector.h"

namespace {

constexpr int64_t kStretch = 32;  // rows packed at a time; even

// Pack at most kStretch rows from k on into the panels of `Width` columns from `begin` to `end`.
// Rows are contiguous, so all panels are read for a stretch before the next one.
template <int Width>
inline void lay_out_stretch(Precision precision, const float* b, int64_t row, int64_t k,
                            int64_t depth, int64_t columns, int64_t begin, int64_t end,
                            void* panels) {
  const int64_t count = depth - k < kStretch ? depth - k : kStretch;
  for (int64_t panel = begin; panel < end; ++panel) {
    const int64_t word = panel * word_count(precision, depth) + word_count(precision, k);
    lay_out_rows<Width>(precision, b + k * row + panel * Width, row, count,
                        columns - panel * Width, static_cast<uint32_t*>(panels) + word * Width);
  }
}

inline void lay_out(Precision precision, const float* b, int64_t row, int64_t column,
                    int64_t depth, int64_t columns, int64_t begin, int64_t end, void* panels) {
  if (column == 1) {
    for (int64_t k = 0; k < depth; k += kStretch) {
      lay_out_stretch<kColumns>(precision, b, row, k, depth, columns, begin, end, panels);
    }
    return;
  }
  const int64_t size = word_count(precision, depth) * kColumns;
  for (int64_t panel = begin; panel < end; ++panel) {
    lay_out_columns(precision, b + panel * kColumns * column, column, depth,
                    columns - panel * kColumns, static_cast<uint32_t*>(panels) + panel * size);
  }
}

inline void lay_out_transposed(Precision precision, const float* y, int64_t ldy, int64_t depth,
                               int64_t columns, int64_t begin, int64_t end, void* tiles,
                               float* sums) {
  const int64_t last = end * kRows < columns ? end * kRows : columns;
  for (int64_t k = 0; k < depth; k += kStretch) {
    lay_out_stretch<kRows>(precision, y, ldy, k, depth, columns, begin, end, tiles);
    for (int64_t n = k; n < k + kStretch && n < depth; ++n) {
      for (int64_t j = begin * kRows; j < last; ++j) {
        sums[j] += y[n * ldy + j];
      }
    }
  }
}

// Write sums to the rows and columns of c, without the padding.
inline void write_sums(const float* sums, int64_t rows, int64_t columns, bool add, float* c,
                       int64_t ldc) {
  for (int64_t i = 0; i < rows; ++i, c += ldc, sums += kColumns) {
    for (int64_t j = 0; j < columns; ++j) {
      c[j] = add ? c[j] + sums[j] : sums[j];
    }
  }
}

// Blocks and slices are those of dense_words().
template <class Product>
inline void multiply_transposed_words(const uint32_t* a, const uint32_t* b, int64_t words,
                                      int64_t rows, int64_t columns, int64_t begin, int64_t end,
                                      bool add, float* c) {
  alignas(64) float sums[kMaxRows * kColumns];
  const int64_t cached_rows = kCachedWords / words < kMaxRows ? kCachedWords / words : kMaxRows;
  const int64_t max_tiles = cached_rows < kRows ? 1 : cached_rows / kRows, count = end - begin;
  const int64_t blocks = (count + max_tiles - 1) / max_tiles;
  const int64_t slices = (words + kSlice - 1) / kSlice;
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t top = begin + count * block / blocks;
    const int64_t tiles = begin + count * (block + 1) / blocks - top;
    const int64_t height = rows - top * kRows < tiles * kRows ? rows - top * kRows : tiles * kRows;
    for (int64_t panel = 0; panel * kColumns < columns; ++panel) {
      for (int64_t slice = 0; slice < slices; ++slice) {
        const int64_t from = words * slice / slices, depth = words * (slice + 1) / slices - from;
        for (int64_t n = 0; n < tiles; ++n) {
          word_tile<Product, kRows>(depth, a + ((top + n) * words + from) * kRows, 1, kRows,
                                    b + (panel * words + from) * kColumns,
                                    sums + n * kRows * kColumns, kColumns, slice > 0,
                                    depth * kColumns);
        }
      }
      const int64_t column = panel * kColumns;
      const int64_t wide = columns - column < kColumns ? columns - column : kColumns;
      write_sums(sums, height, wide, add, c + top * kRows * columns + column, columns);
    }
  }
}

inline void multiply_transposed(Precision precision, const void* tiles, const void* panels,
                                int64_t depth, int64_t rows, int64_t columns, int64_t begin,
                                int64_t end, bool add, float* c) {
  const uint32_t *a = static_cast<const uint32_t*>(tiles),
                 *b = static_cast<const uint32_t*>(panels);
  const int64_t words = word_count(precision, depth);
  if (precision == Precision::kBFloat16) {
    multiply_transposed_words<BFloat16Product>(a, b, words, rows, columns, begin, end, add, c);
  } else {
    multiply_transposed_words<Float32Product>(a, b, words, rows, columns, begin, end, add, c);
  }
}

}  // namespace

#endif  // GLUON_BERT_TRAINING_PRODUCTS_H_
