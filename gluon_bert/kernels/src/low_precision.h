// Products of bfloat16 and int8, with the instructions of the processor. Included by dense.h.
#ifndef GLUON_BERT_LOW_PRECISION_H_
#define GLUON_BERT_LOW_PRECISION_H_

#include "vector.h"

namespace {

// Without instructions that sum four products in 32 bits, four products from two words are summed
// in 16 bits. With inputs up to 127 and weights up to 63 that never overflows.
#if defined(__AVX2__) && !defined(__AVX512VNNI__)
constexpr bool kIn16Bits = true;
#else
constexpr bool kIn16Bits = false;
#endif
constexpr float kInputLimit = kIn16Bits ? 127.0f : 255.0f;
constexpr float kWeightLimit = kIn16Bits ? 63.0f : 127.0f;
// Of the inputs: their bytes are unsigned, but signed where the processor multiplies two signed ones.
#if defined(USE_NEON)
constexpr int32_t kLowestByte = -128;
#else
constexpr int32_t kLowestByte = 0;
#endif

#if !defined(USE_NEON)  // else they are in neon.h

// Words of a hold four unsigned bytes, words of b four signed bytes.
struct Int8Product {
  typedef Ints Sum;
  // Registers: 2 of sums per row, 4 of weights, 2 of inputs, 1 of ones.
  static constexpr int kHeight = !kIn16Bits ? kRows : kLanes == 8 ? 4 : 12;
  static constexpr bool kPairs = kIn16Bits;

#if defined(__AVX512VNNI__)
  static Ints add(Ints sum, Ints a, Ints b) {
    return (Ints)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
  }
#elif defined(__AVX512BW__)
  static Ints add(Ints sum, Ints a, Ints b, Ints next_a = Ints{}, Ints next_b = Ints{}) {
    const __m512i pairs = _mm512_add_epi16(
        _mm512_maddubs_epi16((__m512i)a, (__m512i)b),
        _mm512_maddubs_epi16((__m512i)next_a, (__m512i)next_b));
    return sum + (Ints)_mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
  }
#elif defined(__AVX2__)
  static Ints add(Ints sum, Ints a, Ints b, Ints next_a = Ints{}, Ints next_b = Ints{}) {
    const __m256i pairs = _mm256_add_epi16(
        _mm256_maddubs_epi16((__m256i)a, (__m256i)b),
        _mm256_maddubs_epi16((__m256i)next_a, (__m256i)next_b));
    return sum + (Ints)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
  }
#else
  static Ints add(Ints sum, Ints a, Ints b) {
    for (int shift = 0; shift < 32; shift += 8) {
      sum += (a >> shift & 255) * (b << (24 - shift) >> 24);
    }
    return sum;
  }
#endif
};
#endif

// True if the processor multiplies bfloat16 in hardware.
#if defined(__AVX512BF16__)
constexpr bool kHasBFloat16 = true;
#elif defined(USE_NEON)
constexpr bool kHasBFloat16 = kHasMatrices;
#else
constexpr bool kHasBFloat16 = false;
#endif

// The upper half of a float, rounded to nearest. NaN, which rounding could carry over to a number,
// becomes a quiet NaN.
inline uint32_t bfloat16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return (x == x ? bits + 0x7fff + (bits >> 16 & 1) : bits | 0x400000u) >> 16;
}

typedef uint32_t Words __attribute__((vector_size(VECTOR_BYTES)));

inline Words rounded(Floats x) {
  Words bits;
  std::memcpy(&bits, &x, sizeof bits);
  return x == x ? bits + 0x7fff + (bits >> 16 & 1) : bits | 0x400000u;
}

// The numbers rounded to bfloat16, as floats.
inline Words rounded_floats(Floats x) { return rounded(x) & 0xffff0000u; }

inline void round_row(const float* x, int64_t count, uint32_t* numbers) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const Words words = rounded_floats(load(x + i));
    std::memcpy(numbers + i, &words, sizeof words);
  }
  for (; i < count; ++i) {
    numbers[i] = bfloat16(x[i]) << 16;
  }
}

// Pack two vectors into words of two numbers each.
inline Words pair(Floats lower, Floats upper) {
#if defined(__AVX512BF16__)
  const __m512i both = (__m512i)_mm512_cvtne2ps_pbh((__m512)upper, (__m512)lower);
  // Interleave the two halves: number i of one next to number i of the other.
  const __m512i interleave =
      _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                       21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return (Words)_mm512_permutexvar_epi16(interleave, both);
#elif defined(USE_NEON) && defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
  return (Words)vzip1q_u16((uint16x8_t)vcvtq_low_bf16_f32((float32x4_t)lower),
                           (uint16x8_t)vcvtq_low_bf16_f32((float32x4_t)upper));
#else
  return rounded(lower) >> 16 | (rounded(upper) & 0xffff0000u);
#endif
}

inline uint32_t pair(float lower, float upper) { return bfloat16(lower) | bfloat16(upper) << 16; }

// Convert a row and pad it with zeros to `padded_count` numbers.
inline void convert_bfloat16(const float* x, int64_t count, uint16_t* numbers,
                             int64_t padded_count) {
  int64_t i = 0;
#if defined(__AVX512BF16__)
  for (; i + 32 <= count; i += 32) {
    const __m512bh both = _mm512_cvtne2ps_pbh((__m512)load(x + i + 16), (__m512)load(x + i));
    std::memcpy(numbers + i, &both, sizeof both);
  }
#elif defined(USE_NEON) && defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
  for (; i + 8 <= count; i += 8) {
    const bfloat16x8_t lower = vcvtq_low_bf16_f32((float32x4_t)load(x + i)),
                       both = vcvtq_high_bf16_f32(lower, (float32x4_t)load(x + i + 4));
    std::memcpy(numbers + i, &both, sizeof both);
  }
#endif
  for (; i < count; ++i) {
    numbers[i] = static_cast<uint16_t>(bfloat16(x[i]));
  }
  for (; i < padded_count; ++i) {
    numbers[i] = 0;
  }
}

#if !defined(USE_NEON)
// Words hold two numbers.
struct BFloat16Product {
  typedef Floats Sum;
  static constexpr int kHeight = kRows;
  static constexpr bool kPairs = false;

  static Floats add(Floats sum, Ints a, Ints b) {
#if defined(__AVX512BF16__)
    return (Floats)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
#else
    const int32_t upper = static_cast<int32_t>(0xffff0000u);
    sum += as_floats(a << 16) * as_floats(b << 16);
    return sum + as_floats(a & upper) * as_floats(b & upper);
#endif
  }
};

// Words hold one number.
struct Float32Product {
  typedef Floats Sum;
  static constexpr int kHeight = kRows;
  static constexpr bool kPairs = false;

  static Floats add(Floats sum, Ints a, Ints b) { return sum + as_floats(a) * as_floats(b); }
};
#endif

// c (+)= a b for Rows x kColumns results. Word k of row i of a is a[i * row + k * step]. The words
// at b + next, which are read soon, are prefetched.
template <class Product, int Rows>
inline void word_tile(int64_t words, const uint32_t* a, int64_t row, int64_t step,
                      const uint32_t* b, float* c, int64_t ldc, bool add, int64_t next) {
#if defined(USE_NEON)
  neon_tile<Product, Rows>(words, a, row, step, b, kColumns, c, ldc, add);
#else
  typename Product::Sum left[Rows], right[Rows];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
    left[i] = right[i] = typename Product::Sum{};
    if (add) {
      std::memcpy(&left[i], c + i * ldc, sizeof left[i]);
      std::memcpy(&right[i], c + i * ldc + kLanes, sizeof right[i]);
    }
  }
  int64_t k = 0;
  if constexpr (Product::kPairs) {
    for (; k + 2 <= words; k += 2, a += 2 * step, b += 2 * kColumns) {
      __builtin_prefetch(b + next, 0, 2);
      __builtin_prefetch(b + next + kColumns, 0, 2);
      const Ints b0 = load_words(b), b1 = load_words(b + kLanes),
                 next0 = load_words(b + kColumns), next1 = load_words(b + kColumns + kLanes);
#pragma GCC unroll 16
      for (int i = 0; i < Rows; ++i) {
        const Ints x = static_cast<int32_t>(a[i * row]) - Ints{},
                   next = static_cast<int32_t>(a[i * row + step]) - Ints{};
        left[i] = Product::add(left[i], x, b0, next, next0);
        right[i] = Product::add(right[i], x, b1, next, next1);
      }
    }
  }
  for (; k < words; ++k, a += step, b += kColumns) {
    __builtin_prefetch(b + next, 0, 2);
    __builtin_prefetch(b + next + kLanes, 0, 2);
    const Ints b0 = load_words(b), b1 = load_words(b + kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const Ints x = static_cast<int32_t>(a[i * row]) - Ints{};
      left[i] = Product::add(left[i], x, b0);
      right[i] = Product::add(right[i], x, b1);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
    std::memcpy(c + i * ldc, &left[i], sizeof left[i]);
    std::memcpy(c + i * ldc + kLanes, &right[i], sizeof right[i]);
  }
#endif
}

// Run a tile of `rows` rows, at most Rows.
template <class Product, int Rows>
struct WordTiles {
  static void run(int rows, int64_t words, const uint32_t* a, int64_t row, const uint32_t* b,
                  float* c, int64_t ldc, bool add, int64_t next) {
    if (rows == Rows) {
      word_tile<Product, Rows>(words, a, row, 1, b, c, ldc, add, next);
    } else {
      WordTiles<Product, Rows - 1>::run(rows, words, a, row, b, c, ldc, add, next);
    }
  }
};

template <class Product>
struct WordTiles<Product, 0> {
  static void run(int, int64_t, const uint32_t*, int64_t, const uint32_t*, float*, int64_t, bool,
                  int64_t) {}
};

}  // namespace

#endif  // GLUON_BERT_LOW_PRECISION_H_
