// Vectors of floats as wide as the processor's registers, and what attention needs of them.
//
// Included once by each backend_*.cc, which sets VECTOR_BYTES and is compiled for its processors;
// everything here is local to that file, so that no code for one processor is used on another.
#ifndef GLUON_BERT_VECTOR_H_
#define GLUON_BERT_VECTOR_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace {

constexpr int kLanes = VECTOR_BYTES / sizeof(float);

typedef float Floats __attribute__((vector_size(VECTOR_BYTES)));
typedef int32_t Ints __attribute__((vector_size(VECTOR_BYTES)));

inline Floats load(const float* source) {
  Floats x;
  std::memcpy(&x, source, sizeof x);
  return x;
}

inline Ints load_words(const void* source) {
  Ints x;
  std::memcpy(&x, source, sizeof x);
  return x;
}

inline void store(float* target, Floats x) { std::memcpy(target, &x, sizeof x); }

inline Floats as_floats(Ints x) {
  Floats y;
  std::memcpy(&y, &x, sizeof y);
  return y;
}

inline Floats same(float x) { return x - Floats{}; }

inline Floats larger(Floats x, Floats y) { return x > y ? x : y; }

inline Floats smaller(Floats x, Floats y) { return x < y ? x : y; }

inline float sum(Floats x) {
  float total = 0;
  for (int i = 0; i < kLanes; ++i) {
    total += x[i];
  }
  return total;
}

inline float largest(Floats x) {
  float found = x[0];
  for (int i = 1; i < kLanes; ++i) {
    found = x[i] > found ? x[i] : found;
  }
  return found;
}

// exp(x) for x <= 88, to 2 units in the last place; exp(-80) below -80, so that nothing made from it
// is so small as to be slow. x = n log 2 + r, and exp(r) is a polynomial whose coefficients are those
// of Moshier's Cephes library.
inline Floats exponential(Floats x) {
  const Floats bounded = larger(x, same(-80.0f));
  const Floats magic = same(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number
  const Floats n = (bounded * 1.44269504f + magic) - magic;
  const Floats r = (bounded - n * 0.693359375f) + n * 2.12194440e-4f;
  Floats y = same(1.9875691500e-4f);
  y = y * r + 1.3981999507e-3f;
  y = y * r + 8.3334519073e-3f;
  y = y * r + 4.1665795894e-2f;
  y = y * r + 1.6666665459e-1f;
  y = y * r + 5.0000001201e-1f;
  y = y * r * r + r + 1.0f;
  return y * as_floats((__builtin_convertvector(n, Ints) + 127) << 23);
}

// A panel of a matrix product: c (+)= a b for Rows x kColumns results.
// a[i, k] is a[i * row + k * step], b[k, j] is b[k * ldb + j], c[i, j] is c[i * ldc + j].
// Ahead: b + next is read soon and brought into the cache meanwhile.
constexpr int kColumns = 2 * kLanes;

template <int Rows, bool Ahead = false>
inline void tile(int64_t depth, const float* a, int64_t row, int64_t step, const float* b,
                 int64_t ldb, float* c, int64_t ldc, bool add, int64_t next = 0) {
  Floats left[Rows], right[Rows];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
    left[i] = add ? load(c + i * ldc) : Floats{};
    right[i] = add ? load(c + i * ldc + kLanes) : Floats{};
  }
  for (int64_t k = 0; k < depth; ++k, a += step, b += ldb) {
    if constexpr (Ahead) {
      __builtin_prefetch(b + next, 0, 2);
    }
    const Floats b0 = load(b), b1 = load(b + kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const Floats x = same(a[i * row]);
      left[i] += x * b0;
      right[i] += x * b1;
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
    store(c + i * ldc, left[i]);
    store(c + i * ldc + kLanes, right[i]);
  }
}

template <int Rows, bool Ahead = false>
struct Tiles {
  static void run(int rows, int64_t depth, const float* a, int64_t row, int64_t step,
                  const float* b, int64_t ldb, float* c, int64_t ldc, bool add,
                  int64_t next = 0) {
    if (rows == Rows) {
      tile<Rows, Ahead>(depth, a, row, step, b, ldb, c, ldc, add, next);
    } else {
      Tiles<Rows - 1, Ahead>::run(rows, depth, a, row, step, b, ldb, c, ldc, add, next);
    }
  }
};

template <bool Ahead>
struct Tiles<0, Ahead> {
  static void run(int, int64_t, const float*, int64_t, int64_t, const float*, int64_t, float*,
                  int64_t, bool, int64_t) {}
};

// c (+)= a b, (rows, depth) (depth, columns); columns is a multiple of kColumns.
inline void multiply(int64_t rows, int64_t columns, int64_t depth, const float* a, int64_t row,
                     int64_t step, const float* b, int64_t ldb, float* c, int64_t ldc, bool add) {
  for (int64_t j = 0; j < columns; j += kColumns) {
    for (int64_t i = 0; i < rows; i += kRows) {
      const int count = static_cast<int>(rows - i < kRows ? rows - i : kRows);
      Tiles<kRows>::run(count, depth, a + i * row, row, step, b + j, ldb, c + i * ldc + j, ldc,
                        add);
    }
  }
}

}  // namespace

#endif  // GLUON_BERT_VECTOR_H_
