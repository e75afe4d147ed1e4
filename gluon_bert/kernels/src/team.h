// What the native encoders share: memory, threads that work on the same rows, dense layers.
#ifndef GLUON_BERT_TEAM_H_
#define GLUON_BERT_TEAM_H_

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

constexpr int64_t kLine = 64;    // bytes: floats are aligned to it
constexpr int64_t kApart = kLine / sizeof(float);  // so that rows of a tile share no cache lines
constexpr int64_t kHuge = 1 << 21;  // bytes of a huge page, in which many floats are found faster
constexpr int64_t kTall = 96;    // rows for each thread from which rows are divided, not columns

class Floats {
 public:
  explicit Floats(int64_t count = 0) {
    const int64_t wanted = std::max<int64_t>(count, 1) * sizeof(float);
    const int64_t line = wanted < kHuge ? kLine : kHuge;
    void* memory = std::aligned_alloc(line, (wanted + line - 1) / line * line);
    if (!memory) {
      throw std::bad_alloc();
    }
#ifdef MADV_HUGEPAGE
    if (wanted >= kHuge) {
      madvise(memory, wanted / kHuge * kHuge, MADV_HUGEPAGE);  // the last part is no whole page
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

inline int64_t whole(int64_t count) {
  const int64_t columns = backend().columns;
  return (count + columns - 1) / columns * columns;
}

// Rows in another precision, of up to `most` words.
struct Converted {
  Converted(int64_t rows, int64_t most) : most(most), words(rows * most), scales(rows) {}
  int64_t most;
  Floats words;
  mutable std::vector<Scale> scales;
};

// Threads that work on the same rows.
struct Team {
  int64_t rank = 0, size = 1;

  void wait() const {
    if (size > 1) {
#pragma omp barrier
    }
  }
  int64_t begin(int64_t count) const { return count * rank / size; }
  int64_t end(int64_t count) const { return count * (rank + 1) / size; }
};

// Rows as a layer reads them.
struct Input {
  const float* rows;
  int64_t stride;
  const Scale* scales;
};

// desk: the first row of `converted` that is this team's.
inline Input convert_rows(const Dense& dense, const float* x, int64_t ldx, int64_t rows,
                          const Converted& converted, const Team& team, int64_t desk = 0) {
  if (dense.precision == Precision::kFloat32) {
    return {x, ldx, nullptr};
  }
  Scale* scales = converted.scales.data() + desk;
  float* words = converted.words.get() + desk * converted.most;
  const int64_t top = team.begin(rows);
  backend().convert(dense, x + top * ldx, ldx, team.end(rows) - top, words + top * dense.words,
                    scales + top);
  team.wait();
  return {words, dense.words, scales};
}

// The panels from `begin` to `end` of some of the rows.
inline void run_panels(const Dense& dense, Activation activation, const Input& input, int64_t top,
                       int64_t rows, int64_t begin, int64_t end, float* y, int64_t ldy) {
  const Scale* scales = input.scales ? input.scales + top : nullptr;
  backend().dense(dense, input.rows + top * input.stride, input.stride, scales, rows, begin, end,
                  activation, y, ldy);
}

inline void run_dense(const Dense& dense, Activation activation, const float* x, int64_t ldx,
                      int64_t rows, float* y, int64_t ldy, const Converted& converted,
                      const Team& team, int64_t desk = 0) {
  const int64_t panels = whole(dense.out) / backend().columns;
  const Input input = convert_rows(dense, x, ldx, rows, converted, team, desk);
  if (rows >= kTall * team.size) {
    const int64_t top = team.begin(rows);
    run_panels(dense, activation, input, top, team.end(rows) - top, 0, panels, y + top * ldy, ldy);
  } else {
    run_panels(dense, activation, input, 0, rows, team.begin(panels), team.end(panels), y, ldy);
  }
  team.wait();
}

#endif  // GLUON_BERT_TEAM_H_
