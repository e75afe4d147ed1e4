// Vectors of floats as wide as the processor's registers, with their functions and matrix products.
//
// Included by each backend_*.cc, which sets VECTOR_BYTES and is compiled for its processors. All
// names are local to that file, so that no processor runs code compiled for another.
#ifndef GLUON_BERT_VECTOR_H_
#define GLUON_BERT_VECTOR_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(USE_NEON)
#include <arm_neon.h>
#endif

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

inline Floats broadcast(float x) { return x - Floats{}; }

// Maximum and minimum, as the processor computes them: y if either is NaN. So that NaN stays NaN, a
// bound comes first, and the number that is bounded second.
inline Floats larger(Floats x, Floats y) {
#if VECTOR_BYTES == 64
  return (Floats)_mm512_max_ps((__m512)x, (__m512)y);
#else
  return x > y ? x : y;
#endif
}

inline Floats smaller(Floats x, Floats y) {
#if VECTOR_BYTES == 64
  return (Floats)_mm512_min_ps((__m512)x, (__m512)y);
#else
  return x < y ? x : y;
#endif
}

inline Floats square_root(Floats x) {
#if VECTOR_BYTES == 64
  return (Floats)_mm512_sqrt_ps((__m512)x);
#elif defined(__AVX2__)
  return (Floats)_mm256_sqrt_ps((__m256)x);
#elif defined(USE_NEON)
  return (Floats)vsqrtq_f32((float32x4_t)x);
#else
  for (int i = 0; i < kLanes; ++i) {
    x[i] = __builtin_sqrtf(x[i]);
  }
  return x;
#endif
}

// Add the upper half to the lower one until one number is left, for few dependent steps.
inline float sum(Floats x) {
#if VECTOR_BYTES == 64
  return _mm512_reduce_add_ps((__m512)x);
#elif defined(USE_NEON)
  return vaddvq_f32((float32x4_t)x);
#else
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) {
      x[i] += x[i + half];
    }
  }
  return x[0];
#endif
}

inline float largest(Floats x) {
#if VECTOR_BYTES == 64
  return _mm512_reduce_max_ps((__m512)x);
#else
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) {
      x[i] = x[i + half] > x[i] ? x[i + half] : x[i];
    }
  }
  return x[0];
#endif
}

// exp(x) for x <= 88, with a relative error of at most 4e-7. Below -80 it is exp(-80), so that
// products with it are not denormal, which would be slow. NaN stays NaN. x = n log 2 + r; exp(r) is a polynomial,
// fitted by weighted least squares with an error of at most 1.1e-7 for |r| <= log(2) / 2.
inline Floats exponential(Floats x) {
  const Floats clamped = larger(broadcast(-80.0f), x);
  // Adding 1.5 * 2^23 rounds to an integer, which the lowest bits of the float then hold. With 127
  // more they are the exponent of 2^n.
  const Floats magic = broadcast(12582912.0f + 127.0f), shifted = clamped * 1.44269504f + magic;
  const Floats r = clamped - (shifted - magic) * 0.69314718f;
  Floats y = broadcast(8.312520366e-3f);
  y = y * r + 4.189015716e-2f;
  y = y * r + 1.666711465e-1f;
  y = y * r + 4.999923149e-1f;
  y = y * (r * r) + (r + 1.0f);
  Ints bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  return y * as_floats(bits << 23);
}

// The numbers at these indices of two concatenated vectors.
template <int... Index>
inline Floats pick(Floats x, Floats y) {
#if defined(__clang__)
  return __builtin_shufflevector(x, y, Index...);
#else
  return __builtin_shuffle(x, y, Ints{Index...});
#endif
}

// Exchange blocks of two rows, `Distance` apart: those above the diagonal of the first row with
// those below the diagonal of the second.
template <int Distance, int... Lane>
inline void exchange(Floats* rows, std::integer_sequence<int, Lane...>) {
  const Floats x = rows[0], y = rows[Distance];
  rows[0] = pick<(Lane & Distance ? kLanes + Lane - Distance : Lane)...>(x, y);
  rows[Distance] = pick<(Lane & Distance ? kLanes + Lane : Lane + Distance)...>(x, y);
}

// Transpose a matrix of kLanes rows: exchange two quarters, then do the same in each quarter.
template <int Distance = kLanes / 2>
inline void transpose_vectors(Floats* rows) {
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) {
    if (!(i & Distance)) {
      exchange<Distance>(rows + i, std::make_integer_sequence<int, kLanes>());
    }
  }
  if constexpr (Distance > 1) {
    transpose_vectors<Distance / 2>(rows);
  }
}

constexpr int kColumns = 2 * kLanes;

inline int64_t pad_columns(int64_t size) {
  return (size + kColumns - 1) / kColumns * kColumns;
}

}  // namespace

#if defined(USE_NEON)
#include "neon.h"
#endif

namespace {

// A tile of a matrix product: c (+)= a b for Rows x kColumns results.
// a[i, k] is a[i * row + k * step], b[k, j] is b[k * ldb + j], c[i, j] is c[i * ldc + j].
template <int Rows>
inline void tile(int64_t depth, const float* a, int64_t row, int64_t step, const float* b,
                 int64_t ldb, float* c, int64_t ldc, bool add) {
#if defined(USE_NEON)
  neon_tile<Float32Product, Rows>(depth, reinterpret_cast<const uint32_t*>(a), row, step,
                                  reinterpret_cast<const uint32_t*>(b), ldb, c, ldc, add);
#else
  Floats left[Rows], right[Rows];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
    left[i] = add ? load(c + i * ldc) : Floats{};
    right[i] = add ? load(c + i * ldc + kLanes) : Floats{};
  }
  for (int64_t k = 0; k < depth; ++k, a += step, b += ldb) {
    const Floats b0 = load(b), b1 = load(b + kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const Floats x = broadcast(a[i * row]);
      left[i] += x * b0;
      right[i] += x * b1;
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
    store(c + i * ldc, left[i]);
    store(c + i * ldc + kLanes, right[i]);
  }
#endif
}

template <int Rows>
struct Tiles {
  static void run(int rows, int64_t depth, const float* a, int64_t row, int64_t step,
                  const float* b, int64_t ldb, float* c, int64_t ldc, bool add) {
    if (rows == Rows) {
      tile<Rows>(depth, a, row, step, b, ldb, c, ldc, add);
    } else {
      Tiles<Rows - 1>::run(rows, depth, a, row, step, b, ldb, c, ldc, add);
    }
  }
};

template <>
struct Tiles<0> {
  static void run(int, int64_t, const float*, int64_t, int64_t, const float*, int64_t, float*,
                  int64_t, bool) {}
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
