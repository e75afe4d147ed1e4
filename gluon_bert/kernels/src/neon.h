// Tiles of products with the instructions of Arm's processors: NEON alone, with dot products of
// int8 (sdot), or with products of small matrices in int8 and bfloat16 (smmla, bfmmla). Included by
// vector.h for backend_neon*.cc.
#ifndef GLUON_BERT_NEON_H_
#define GLUON_BERT_NEON_H_

#include <arm_neon.h>

namespace {

#if defined(__ARM_FEATURE_MATMUL_INT8) && defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
constexpr bool kHasMatrices = true;
#else
constexpr bool kHasMatrices = false;
#endif

// The products of words, which low_precision.h describes. add() multiplies the words of b by one
// word of a; add_matrix() multiplies matrices of 2 rows and 2 columns, of two words each.
struct Float32Product {
  typedef Floats Sum;
  static constexpr int kHeight = kRows;
  static constexpr bool kByMatrices = false;

  template <int Lane>
  static Floats add(Floats sum, Ints a, Ints b) {
    return (Floats)vfmaq_laneq_f32((float32x4_t)sum, (float32x4_t)b, (float32x4_t)a, Lane);
  }
};

// Both operands are signed, as sdot and smmla want them: see kLowestByte.
struct Int8Product {
  typedef Ints Sum;
  static constexpr int kHeight = kRows;
  static constexpr bool kByMatrices = kHasMatrices;

  template <int Lane>
  static Ints add(Ints sum, Ints a, Ints b) {
#if defined(__ARM_FEATURE_DOTPROD)
    return (Ints)vdotq_laneq_s32((int32x4_t)sum, (int8x16_t)b, (int8x16_t)a, Lane);
#else
    const int8x8_t x = (int8x8_t)vdup_laneq_s32((int32x4_t)a, Lane);
    // Sums of two products, at most 2 * 128 * 127, fit into 16 bits.
    const int16x8_t low = vmull_s8(vget_low_s8((int8x16_t)b), x),
                    high = vmull_s8(vget_high_s8((int8x16_t)b), x);
    return (Ints)vpadalq_s16((int32x4_t)sum, vpaddq_s16(low, high));
#endif
  }

#if defined(__ARM_FEATURE_MATMUL_INT8)
  static Ints add_matrix(Ints sum, Ints a, Ints b) {
    return (Ints)vmmlaq_s32((int32x4_t)sum, (int8x16_t)a, (int8x16_t)b);
  }
#endif
};

struct BFloat16Product {
  typedef Floats Sum;
  static constexpr int kHeight = kRows;
  static constexpr bool kByMatrices = kHasMatrices;

  template <int Lane>
  static Floats add(Floats sum, Ints a, Ints b) {
    const int32_t upper = static_cast<int32_t>(0xffff0000u);
    return Float32Product::add<Lane>(Float32Product::add<Lane>(sum, a << 16, b << 16), a & upper,
                                     b & upper);
  }

#if defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
  static Floats add_matrix(Floats sum, Ints a, Ints b) {
    return (Floats)vbfmmlaq_f32((float32x4_t)sum, (bfloat16x8_t)a, (bfloat16x8_t)b);
  }
#endif
};

inline int32_t word_at(const uint32_t* source) {  // may be a float
  int32_t word;
  std::memcpy(&word, source, sizeof word);
  return word;
}

// Words of a of which each lane is a factor. In a register, which the compiler would not choose: it
// would load the lanes one by one.
inline Ints load_factors(const uint32_t* source) {
  Ints x = load_words(source);
  asm("" : "+w"(x));
  return x;
}

// Rows x 8 sums.
template <class Product, int Rows>
struct Sums {
  typename Product::Sum left[Rows], right[Rows];
};

template <class Product, int Rows>
inline void load_sums(const float* c, int64_t ldc, bool add, Sums<Product, Rows>& sums) {
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
    sums.left[i] = sums.right[i] = typename Product::Sum{};
    if (add) {
      std::memcpy(&sums.left[i], c + i * ldc, sizeof sums.left[i]);
      std::memcpy(&sums.right[i], c + i * ldc + kLanes, sizeof sums.right[i]);
    }
  }
}

template <class Product, int Rows>
inline void store_sums(const Sums<Product, Rows>& sums, float* c, int64_t ldc) {
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
    std::memcpy(c + i * ldc, &sums.left[i], sizeof sums.left[i]);
    std::memcpy(c + i * ldc + kLanes, &sums.right[i], sizeof sums.right[i]);
  }
}

// Add the products of one word of each row, in this lane of x, and of the words at b.
template <int Lane, class Product, int Rows>
inline void add_word(const Ints* x, const uint32_t* b, Sums<Product, Rows>& sums) {
  const Ints b0 = load_words(b), b1 = load_words(b + kLanes);
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
    sums.left[i] = Product::template add<Lane>(sums.left[i], x[i], b0);
    sums.right[i] = Product::template add<Lane>(sums.right[i], x[i], b1);
  }
}

// The same for four rows, each with its word in a lane of x.
template <class Product, int Rows>
inline void add_rows(Ints x, Ints b0, Ints b1, int row, Sums<Product, Rows>& sums) {
  typename Product::Sum *left = sums.left + row, *right = sums.right + row;
  left[0] = Product::template add<0>(left[0], x, b0);
  left[1] = Product::template add<1>(left[1], x, b0);
  left[2] = Product::template add<2>(left[2], x, b0);
  left[3] = Product::template add<3>(left[3], x, b0);
  right[0] = Product::template add<0>(right[0], x, b1);
  right[1] = Product::template add<1>(right[1], x, b1);
  right[2] = Product::template add<2>(right[2], x, b1);
  right[3] = Product::template add<3>(right[3], x, b1);
}

// A tile whose words of b are multiplied by single words of a.
template <class Product, int Rows>
inline void lane_tile(int64_t words, const uint32_t* a, int64_t row, int64_t step,
                      const uint32_t* b, int64_t ldb, float* c, int64_t ldc, bool add) {
  Sums<Product, Rows> sums;
  load_sums(c, ldc, add, sums);
  int64_t k = 0;
  if (step == 1) {  // rows in place: four words of each at once
    for (; k + kLanes <= words; k += kLanes, a += kLanes, b += kLanes * ldb) {
      Ints x[Rows];
#pragma GCC unroll 16
      for (int i = 0; i < Rows; ++i) {
        x[i] = load_factors(a + i * row);
      }
      add_word<0>(x, b, sums);
      add_word<1>(x, b + ldb, sums);
      add_word<2>(x, b + 2 * ldb, sums);
      add_word<3>(x, b + 3 * ldb, sums);
    }
  } else if (row == 1 && Rows % kLanes == 0) {  // packed tiles: a word of four rows at once
    for (; k < words; ++k, a += step, b += ldb) {
      const Ints b0 = load_words(b), b1 = load_words(b + kLanes);
#pragma GCC unroll 16
      for (int i = 0; i + kLanes <= Rows; i += kLanes) {
        add_rows(load_factors(a + i), b0, b1, i, sums);
      }
    }
  }
  for (; k < words; ++k, a += step, b += ldb) {
    Ints x[Rows];
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      x[i] = word_at(a + i * row) - Ints{};
    }
    add_word<0>(x, b, sums);
  }
  store_sums(sums, c, ldc);
}

// The lower and the upper halves of two vectors. With four numbers of two rows they are the matrices
// of two rows and two columns, with such matrices the numbers of the rows.
template <class Vector>
inline void exchange_halves(Vector& x, Vector& y) {
  const int64x2_t first = (int64x2_t)x, second = (int64x2_t)y;
  x = (Vector)vzip1q_s64(first, second);
  y = (Vector)vzip2q_s64(first, second);
}

// Exchange rows of sums and matrices of 2 x 2 sums, in place. The last row of an odd number is alone.
template <class Product, int Rows>
inline void exchange_rows(Sums<Product, Rows>& sums) {
#pragma GCC unroll 16
  for (int i = 0; i + 1 < Rows; i += 2) {
    exchange_halves(sums.left[i], sums.left[i + 1]);
    exchange_halves(sums.right[i], sums.right[i + 1]);
  }
}

inline Ints interleave_low(Ints x, Ints y) { return (Ints)vzip1q_s32((int32x4_t)x, (int32x4_t)y); }
inline Ints interleave_high(Ints x, Ints y) {
  return (Ints)vzip2q_s32((int32x4_t)x, (int32x4_t)y);
}

// Add the products of two words of each row, x[i / 2] for rows i and i + 1, and of the words at b and
// at `following`, with ones of 0 if that is null.
template <class Product, int Rows>
inline void add_matrices(const Ints* x, const uint32_t* b, const uint32_t* following,
                         Sums<Product, Rows>& sums) {
  const Ints b0 = load_words(b), b1 = load_words(b + kLanes);
  const Ints next0 = following ? load_words(following) : Ints{};
  const Ints next1 = following ? load_words(following + kLanes) : Ints{};
  const Ints left0 = interleave_low(b0, next0), left1 = interleave_high(b0, next0),
             right0 = interleave_low(b1, next1), right1 = interleave_high(b1, next1);
#pragma GCC unroll 16
  for (int i = 0; i < Rows; i += 2) {
    sums.left[i] = Product::add_matrix(sums.left[i], x[i / 2], left0);
    sums.left[i + 1] = Product::add_matrix(sums.left[i + 1], x[i / 2], left1);
    sums.right[i] = Product::add_matrix(sums.right[i], x[i / 2], right0);
    sums.right[i + 1] = Product::add_matrix(sums.right[i + 1], x[i / 2], right1);
  }
}

// A tile of products of matrices.
template <class Product, int Rows>
inline void matrix_tile(int64_t words, const uint32_t* a, int64_t row, int64_t step,
                        const uint32_t* b, int64_t ldb, float* c, int64_t ldc, bool add) {
  constexpr int kEven = Rows + Rows % 2;  // the row after an odd number is computed and not written
  Sums<Product, kEven> sums;
  Sums<Product, Rows> read;
  load_sums(c, ldc, add, read);
#pragma GCC unroll 16
  for (int i = 0; i < kEven; ++i) {
    sums.left[i] = read.left[i < Rows ? i : Rows - 1];
    sums.right[i] = read.right[i < Rows ? i : Rows - 1];
  }
  exchange_rows(sums);
  int64_t k = 0;
  if (step == 1) {  // rows in place: four words of each at once
    for (; k + kLanes <= words; k += kLanes, a += kLanes, b += kLanes * ldb) {
      Ints x[kEven / 2], next_x[kEven / 2];
#pragma GCC unroll 16
      for (int i = 0; i < kEven; i += 2) {
        x[i / 2] = load_words(a + i * row);
        next_x[i / 2] = load_words(a + (i + 1 < Rows ? i + 1 : i) * row);
        exchange_halves(x[i / 2], next_x[i / 2]);
      }
      add_matrices(x, b, b + ldb, sums);
      add_matrices(next_x, b + 2 * ldb, b + 3 * ldb, sums);
    }
  } else if (row == 1 && Rows % kLanes == 0) {  // packed tiles: two words of four rows at once
    for (; k + 2 <= words; k += 2, a += 2 * step, b += 2 * ldb) {
      Ints x[kEven / 2];
#pragma GCC unroll 16
      for (int i = 0; i + kLanes <= Rows; i += kLanes) {
        const Ints word = load_words(a + i), next = load_words(a + step + i);
        x[i / 2] = interleave_low(word, next);
        x[i / 2 + 1] = interleave_high(word, next);
      }
      add_matrices(x, b, b + ldb, sums);
    }
  }
  for (; k < words; ++k, a += step, b += ldb) {
    Ints x[kEven / 2];
#pragma GCC unroll 16
    for (int i = 0; i < kEven; i += 2) {
      const int32_t word = word_at(a + i * row),
                    below = word_at(a + (i + 1 < Rows ? i + 1 : i) * row);
      x[i / 2] = Ints{word, 0, below, 0};
    }
    add_matrices(x, b, nullptr, sums);
  }
  exchange_rows(sums);
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
    read.left[i] = sums.left[i];
    read.right[i] = sums.right[i];
  }
  store_sums(read, c, ldc);
}

// c (+)= a b for Rows x 8 results. Word k of row i of a is a[i * row + k * step], word j of row k of
// b is b[k * ldb + j].
template <class Product, int Rows>
inline void neon_tile(int64_t words, const uint32_t* a, int64_t row, int64_t step,
                      const uint32_t* b, int64_t ldb, float* c, int64_t ldc, bool add) {
  if constexpr (Product::kByMatrices) {
    matrix_tile<Product, Rows>(words, a, row, step, b, ldb, c, ldc, add);
  } else {
    lane_tile<Product, Rows>(words, a, row, step, b, ldb, c, ldc, add);
  }
}

}  // namespace

#endif  // GLUON_BERT_NEON_H_
