// Shared by the native encoders: memory, and dense layers run by groups of threads.
#ifndef GLUON_BERT_THREAD_GROUP_H_
#define GLUON_BERT_THREAD_GROUP_H_

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include "backend.h"
#include "parallel.h"

constexpr int64_t kCacheLine = 64;  // bytes; buffers are aligned to it
// Floats added to each row, so that the rows of a tile do not compete for the same cache lines.
constexpr int64_t kRowPad = kCacheLine / sizeof(float);
constexpr int64_t kHugePage = 1 << 21;  // bytes; large buffers use huge pages: fewer TLB misses
constexpr int64_t kRowSplitMin = 96;    // rows per thread from which rows are split, not columns

// An aligned, uninitialised array of floats.
class FloatBuffer {
 public:
  explicit FloatBuffer(int64_t count = 0) {
    const int64_t size = std::max<int64_t>(count, 1) * sizeof(float);
    const int64_t alignment = size < kHugePage ? kCacheLine : kHugePage;
    void* memory = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    if (!memory) {
      throw std::bad_alloc();
    }
#ifdef MADV_HUGEPAGE
    if (size >= kHugePage) {
      madvise(memory, size / kHugePage * kHugePage, MADV_HUGEPAGE);  // complete pages only
    }
#endif
    data_.reset(static_cast<float*>(memory));
  }
  float* get() const { return data_.get(); }

 private:
  struct Free {
    void operator()(float* memory) const { std::free(memory); }
  };
  std::unique_ptr<float, Free> data_;
};

// Round a number of columns up to complete panels.
inline int64_t pad_columns(int64_t count) {
  const int64_t columns = backend().columns;
  return (count + columns - 1) / columns * columns;
}

// Buffer for rows converted to a lower precision, each of at most `max_words` 32-bit words.
struct ConvertedRows {
  ConvertedRows(int64_t rows, int64_t max_words)
      : max_words(max_words), words(rows * max_words), scales(rows) {}
  int64_t max_words;
  FloatBuffer words;
  mutable std::vector<RowScale> scales;
};

// Rows in the precision that a layer reads.
struct Input {
  const float* rows;
  int64_t stride;
  const RowScale* scales;
};

// Convert rows to the precision of a layer. scratch_row: the group's first row of `converted`.
inline Input convert_rows(const Dense& dense, const float* x, int64_t ldx, int64_t rows,
                          const ConvertedRows& converted, const ThreadGroup& group,
                          int64_t scratch_row = 0) {
  if (dense.precision == Precision::kFloat32) {
    return {x, ldx, nullptr};
  }
  RowScale* scales = converted.scales.data() + scratch_row;
  float* words = converted.words.get() + scratch_row * converted.max_words;
  const int64_t top = group.begin(rows);
  backend().convert(dense, x + top * ldx, ldx, group.end(rows) - top, words + top * dense.words,
                    scales + top);
  group.barrier();
  return {words, dense.words, scales};
}

// Compute the panels from `begin` to `end` for `rows` rows, starting at row `top`.
inline void run_panels(const Dense& dense, Activation activation, const Input& input, int64_t top,
                       int64_t rows, int64_t begin, int64_t end, float* y, int64_t ldy) {
  const RowScale* scales = input.scales ? input.scales + top : nullptr;
  backend().dense(dense, input.rows + top * input.stride, input.stride, scales, rows, begin, end,
                  activation, y, ldy);
}

// Run a dense layer. The group splits the rows if there are enough of them, else the columns.
inline void run_dense(const Dense& dense, Activation activation, const float* x, int64_t ldx,
                      int64_t rows, float* y, int64_t ldy, const ConvertedRows& converted,
                      const ThreadGroup& group, int64_t scratch_row = 0) {
  const int64_t panels = pad_columns(dense.out) / backend().columns;
  const Input input = convert_rows(dense, x, ldx, rows, converted, group, scratch_row);
  if (rows >= kRowSplitMin * group.size) {
    const int64_t top = group.begin(rows);
    run_panels(dense, activation, input, top, group.end(rows) - top, 0, panels, y + top * ldy,
               ldy);
  } else {
    run_panels(dense, activation, input, 0, rows, group.begin(panels), group.end(panels), y, ldy);
  }
  group.barrier();
}

#endif  // GLUON_BERT_THREAD_GROUP_H_
