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

// desk: the first row of `converted` that is this team's.
inline void run_dense(const Dense& dense, Activation activation, const float* x, int64_t ldx,
                      int64_t rows, float* y, int64_t ldy, const Converted& converted,
                      const Team& team, int64_t desk = 0) {
  const int64_t panels = whole(dense.out) / backend().columns;
  const float* input = x;
  Scale* scales = converted.scales.data() + desk;
  if (dense.precision != Precision::kFloat32) {
    float* words = converted.words.get() + desk * converted.most;
    const int64_t top = team.begin(rows);
    backend().convert(dense, x + top * ldx, ldx, team.end(rows) - top, words + top * dense.words,
                      scales + top);
    team.wait();
    input = words;
    ldx = dense.words;
  }
  if (rows >= kTall * team.size) {
    const int64_t top = team.begin(rows);
    backend().dense(dense, input + top * ldx, ldx, scales + top,
                    team.end(rows) - top, 0, panels, activation, y + top * ldy, ldy);
  } else {
    backend().dense(dense, input, ldx, scales, rows, team.begin(panels),
                    team.end(panels), activation, y, ldy);
  }
  team.wait();
}

#endif  // GLUON_BERT_TEAM_H_
