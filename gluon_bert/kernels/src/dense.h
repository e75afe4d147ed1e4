// Dense layers over weights laid out once, and what stands between them. Included by backend_*.cc.
#ifndef GLUON_BERT_DENSE_H_
#define GLUON_BERT_DENSE_H_

#include "backend.h"
#include "low_precision.h"
#include "vector.h"

namespace {

// Many rows at a time, as weights come from far away, and as many times as there are blocks.
constexpr int64_t kMostRows = 336;     // of a block, whose sums of a panel are kept
constexpr int64_t kSlice = 192;        // words of a panel that stay in the first-level cache
// Words of a block that stay in the second-level cache.
constexpr int64_t kCached = VECTOR_BYTES == 64 ? 262144 : 65536;

// The normal distribution, Phi(x). Phi(x) - 1/2 is x P(x^2) / Q(x^2), fitted by weighted least
// squares such that x Phi(x) is right within 2e-8 where |x| < kTail, and 3e-7 in single precision.
constexpr float kTail = 5.4f;

inline Floats normal_distribution(Floats x) {
  const Floats bounded = smaller(larger(x, same(-kTail)), same(kTail)), t = bounded * bounded;
  Floats p = same(2.280334601e-8f), q = same(1.207498016e-6f);
  p = p * t + 6.465293558e-6f;
  q = q * t + 7.593357182e-5f;
  p = p * t + 1.747381893e-4f;
  q = q * t + 1.917250201e-3f;
  p = p * t + 4.713535683e-3f;
  q = q * t + 2.894852941e-2f;
  p = p * t + 3.435651311e-2f;
  q = q * t + 2.527838926e-1f;
  p = p * t + 3.989421434e-1f;
  q = q * t + 1.0f;
  return bounded * p / q + 0.5f;
}

// What is no number stays so.
inline Floats gelu(Floats x) { return larger(same(-kTail), x) * normal_distribution(x); }

inline Floats hyperbolic_tangent(Floats x) {
  const Floats bounded = smaller(larger(x, same(-15.0f)), same(15.0f));
  return 1.0f - 2.0f / (exponential(2.0f * bounded) + 1.0f);
}

inline Floats activate(Activation activation, Floats x) {
  switch (activation) {
    case kGelu:
      return gelu(x);
    case kGeluTanh:
      return 0.5f * x * (1.0f + hyperbolic_tangent(0.79788456f * (x + 0.044715f * x * x * x)));
    case kRelu:
      return larger(x, Floats{});
    case kTanh:
      return hyperbolic_tangent(x);
    default:
      return x;
  }
}

inline float largest_size(const float* x, int64_t count) {
  Floats sizes{};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const Floats y = load(x + i);
    sizes = larger(sizes, larger(y, -y));
  }
  float found = largest(sizes);
  for (; i < count; ++i) {
    const float size = x[i] < 0 ? -x[i] : x[i];
    found = size > found ? size : found;
  }
  return found;
}

// The least and the largest of the numbers times their factors, and of 0.
inline void range_of(const float* x, const float* factors, int64_t count, float* least,
                     float* most) {
  Floats low{}, high{};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const Floats y = load(x + i) * load(factors + i);
    low = smaller(low, y);
    high = larger(high, y);
  }
  *least = -largest(-low);
  *most = largest(high);
  for (; i < count; ++i) {
    const float y = x[i] * factors[i];
    *least = y < *least ? y : *least;
    *most = y > *most ? y : *most;
  }
}

inline int32_t nearest(float x) { return static_cast<int32_t>(x < 0 ? x - 0.5f : x + 0.5f); }

// Weights in int8 are weight / scale.
inline float scale_of(const float* weights, int64_t count) {
  const float size = largest_size(weights, count);
  return size > 0 ? size / kWeightLimit : 1.0f;
}

// The next numbers of a row as a word.
inline uint32_t word(Precision precision, const float* x, int64_t left, float inverse) {
  uint32_t packed = 0;
  if (precision == Precision::kFloat32) {
    std::memcpy(&packed, x, sizeof packed);
  } else if (precision == Precision::kBFloat16) {
    packed = bfloat16(x[0]) | (left > 1 ? bfloat16(x[1]) << 16 : 0);
  } else {
    for (int64_t i = 0; i < 4 && i < left; ++i) {
      packed |= static_cast<uint32_t>(nearest(x[i] * inverse) & 255) << 8 * i;
    }
  }
  return packed;
}

inline void pack(Precision precision, const float* weight, int64_t out, int64_t in, void* panels,
                 float* scales, int32_t* totals) {
  const int64_t words = words_of(precision, in), each = precision == Precision::kInt8 ? 4
                        : precision == Precision::kBFloat16 ? 2 : 1;
  uint32_t* target = static_cast<uint32_t*>(panels);
  for (int64_t j = 0; j < whole_columns(out); ++j) {
    const float* row = weight + j * in;
    float scale = 1.0f;
    if (precision == Precision::kInt8) {
      int32_t total = 0;
      scale = j < out ? scale_of(row, in) : 1.0f;
      for (int64_t k = 0; k < in && j < out; ++k) {
        total += nearest(row[k] * (1.0f / scale));
      }
      scales[j] = scale;
      totals[j] = total;
    }
    for (int64_t k = 0; k < words; ++k) {
      target[(j / kColumns * words + k) * kColumns + j % kColumns] =
          j < out ? word(precision, row + k * each, in - k * each, 1.0f / scale) : 0;
    }
  }
}

// A row as bytes, each number times its factor. They span the row's own range, which after GELU is
// nearly all above 0; one at either end is left free, as rounding may reach there.
inline Scale convert_int8(const float* x, const float* factors, int64_t count, uint8_t* bytes,
                          int64_t whole) {
  float least, most;
  range_of(x, factors, count, &least, &most);
  const float range = most - least;
  const float size = range > 1e-30f ? range / (kInputLimit - 2.0f) : 1.0f, inverse = 1.0f / size;
  const int32_t zero = 1 + nearest(-least * inverse);
  const float magic = 12582912.0f + zero;  // 1.5 * 2^23: see vector.h
  for (int64_t i = 0; i < count; ++i) {
    const float rounded = x[i] * factors[i] * inverse + magic;
    uint32_t bits;
    std::memcpy(&bits, &rounded, sizeof bits);
    bytes[i] = static_cast<uint8_t>(bits);
  }
  for (int64_t i = count; i < whole; ++i) {
    bytes[i] = 0;
  }
  return {size, zero};
}

inline void convert(const Dense& layer, const float* x, int64_t ldx, int64_t rows, void* converted,
                    Scale* scales) {
  for (int64_t i = 0; i < rows; ++i, x += ldx) {
    if (layer.precision == Precision::kInt8) {
      scales[i] = convert_int8(x, layer.factors, layer.in,
                               static_cast<uint8_t*>(converted) + i * layer.words * 4,
                               layer.words * 4);
    } else {
      convert_bfloat16(x, layer.in, static_cast<uint16_t*>(converted) + i * layer.words * 2,
                       layer.words * 2);
    }
  }
}

// Sums of a panel to results: bias and activation.
inline void finish(const float* sums, int64_t rows, const Dense& layer, int64_t column,
                   Activation activation, float* y, int64_t ldy) {
  for (int c = 0; c < kColumns; c += kLanes) {
    const Floats bias = load(layer.bias + column + c);
    for (int64_t i = 0; i < rows; ++i) {
      store(y + i * ldy + c, activate(activation, load(sums + i * kColumns + c) + bias));
    }
  }
}

// The same of whole numbers, which become floats.
inline void finish_int8(const float* sums, int64_t rows, const Scale* row_scales,
                        const Dense& layer, int64_t column, Activation activation, float* y,
                        int64_t ldy) {
  for (int c = 0; c < kColumns; c += kLanes) {
    const Floats bias = load(layer.bias + column + c), scale = load(layer.scales + column + c);
    const Ints total = load_words(layer.totals + column + c);
    for (int64_t i = 0; i < rows; ++i) {
      const Ints sum = load_words(sums + i * kColumns + c) - total * row_scales[i].zero;
      const Floats product = __builtin_convertvector(sum, Floats) * scale * row_scales[i].size;
      store(y + i * ldy + c, activate(activation, product + bias));
    }
  }
}

// Rows are taken in blocks, so that these stay in the second-level cache, and words in slices, so
// that a panel's stays in the first-level cache for all tiles of a block. Blocks, and tiles in them,
// are of nearly equal height: a low one is slower for each of its rows.
template <class Product>
inline void dense_words(const Dense& layer, const uint32_t* x, int64_t ldx, const Scale* scales,
                        int64_t rows, int64_t begin, int64_t end, Activation activation, float* y,
                        int64_t ldy) {
  alignas(64) float sums[kMostRows * kColumns];
  const uint32_t* panels = static_cast<const uint32_t*>(layer.panels);
  const int64_t words = layer.words, slices = (words + kSlice - 1) / kSlice;
  const int64_t wanted = rows_at_a_time(layer.precision, kMostRows);
  const int64_t fitting = kCached / words < wanted ? kCached / words : wanted;
  const int64_t most = fitting < Product::kHeight ? Product::kHeight : fitting;
  const int64_t blocks = (rows + most - 1) / most;
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t top = rows * block / blocks, count = rows * (block + 1) / blocks - top;
    const int64_t tiles = (count + Product::kHeight - 1) / Product::kHeight;
    for (int64_t panel = begin; panel < end; ++panel) {
      for (int64_t slice = 0; slice < slices; ++slice) {
        const int64_t from = words * slice / slices, deep = words * (slice + 1) / slices - from;
        for (int64_t n = 0; n < tiles; ++n) {
          const int64_t first = n * count / tiles;
          const int height = static_cast<int>((n + 1) * count / tiles - first);
          WordTiles<Product, Product::kHeight>::run(
              height, deep, x + (top + first) * ldx + from, ldx,
              panels + (panel * words + from) * kColumns, sums + first * kColumns, kColumns,
              slice > 0, deep * kColumns);
        }
      }
      float* target = y + top * ldy + panel * kColumns;
      if (layer.precision == Precision::kInt8) {
        finish_int8(sums, count, scales + top, layer, panel * kColumns, activation, target, ldy);
      } else {
        finish(sums, count, layer, panel * kColumns, activation, target, ldy);
      }
    }
  }
}

inline void dense(const Dense& layer, const void* x, int64_t ldx, const Scale* scales,
                  int64_t rows, int64_t begin, int64_t end, Activation activation, float* y,
                  int64_t ldy) {
  const uint32_t* words = static_cast<const uint32_t*>(x);
  if (layer.precision == Precision::kInt8) {
    dense_words<Int8Product>(layer, words, ldx, scales, rows, begin, end, activation, y, ldy);
  } else if (layer.precision == Precision::kBFloat16) {
    dense_words<BFloat16Product>(layer, words, ldx, scales, rows, begin, end, activation, y, ldy);
  } else {
    dense_words<Float32Product>(layer, words, ldx, scales, rows, begin, end, activation, y, ldy);
  }
}

}  // namespace

#endif  // GLUON_BERT_DENSE_H_
