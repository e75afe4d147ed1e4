// Dense layers with packed weights, activations and conversions between precisions. Included by
// backend_*.cc.
#ifndef GLUON_BERT_DENSE_H_
#define GLUON_BERT_DENSE_H_

#include "backend.h"
#include "low_precision.h"
#include "vector.h"

namespace {

// Every block of rows reads all weights from main memory, so blocks have many rows.
constexpr int64_t kMaxRows = 336;  // of a block
constexpr int64_t kSlice = 192;    // words of a panel that fit into the L1 cache
// Words of a block that fit into the L2 cache.
constexpr int64_t kCachedWords = VECTOR_BYTES == 64 ? 262144 : 65536;

// The cumulative distribution function of the normal distribution, Phi(x). Phi(x) - 1/2 is
// x P(x^2) / Q(x^2), fitted by weighted least squares: the error of x Phi(x) for |x| < kTail is at
// most 2e-8, and 3e-7 in single precision.
constexpr float kTail = 5.4f;

inline Floats normal_distribution(Floats x) {
  const Floats clamped = smaller(broadcast(kTail), larger(broadcast(-kTail), x));
  const Floats t = clamped * clamped;
  Floats p = broadcast(2.280334601e-8f), q = broadcast(1.207498016e-6f);
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
  return clamped * p / q + 0.5f;
}

// x Phi(x). As in the formula it is NaN for NaN and for minus infinity, which the last term is then.
inline Floats gelu(Floats x, Floats distribution) {
  return larger(broadcast(-kTail), x) * distribution + smaller(Floats{}, x) * 0.0f;
}

inline Floats hyperbolic_tangent(Floats x) {
  const Floats clamped = smaller(broadcast(15.0f), larger(broadcast(-15.0f), x));
  return 1.0f - 2.0f / (exponential(2.0f * clamped) + 1.0f);
}

inline Floats activate(Activation activation, Floats x) {
  switch (activation) {
    case kGelu:
      return gelu(x, normal_distribution(x));
    case kGeluTanh:
      return 0.5f * x * (1.0f + hyperbolic_tangent(0.79788456f * (x + 0.044715f * x * x * x)));
    case kRelu:
      return larger(Floats{}, x);
    case kTanh:
      return hyperbolic_tangent(x);
    default:
      return x;
  }
}

// The largest absolute value; NaN if not all are finite.
inline float max_abs(const float* x, int64_t count) {
  Floats sizes{}, zeros{};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const Floats y = load(x + i);
    sizes = larger(sizes, larger(y, -y));
    zeros += y * 0.0f;
  }
  float max_value = largest(sizes), zero = sum(zeros);
  for (; i < count; ++i) {
    const float size = x[i] < 0 ? -x[i] : x[i];
    max_value = size > max_value ? size : max_value;
    zero += x[i] * 0.0f;
  }
  return max_value + zero;
}

// The smallest and the largest of x times factors, and of 0; NaN if not all are finite.
inline void scaled_range(const float* x, const float* factors, int64_t count, float* lowest,
                         float* highest) {
  Floats low{}, high{}, zeros{};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const Floats y = load(x + i) * load(factors + i);
    low = smaller(low, y);
    high = larger(high, y);
    zeros += y * 0.0f;
  }
  float zero = sum(zeros);
  *lowest = -largest(-low);
  *highest = largest(high);
  for (; i < count; ++i) {
    const float y = x[i] * factors[i];
    *lowest = y < *lowest ? y : *lowest;
    *highest = y > *highest ? y : *highest;
    zero += y * 0.0f;
  }
  *lowest += zero;
  *highest += zero;
}

inline bool is_nan(float x) { return x != x; }

// Round half away from zero.
inline int32_t nearest(float x) { return static_cast<int32_t>(x < 0 ? x - 0.5f : x + 0.5f); }

// The scale of weights in int8: weight = scale * int8. NaN, as all products will be, if not all
// weights are finite.
inline float weight_scale(const float* weights, int64_t count) {
  const float largest = max_abs(weights, count);
  return largest <= 1e-30f ? 1.0f : largest / kWeightLimit;
}

inline void raise_maxima(const float* row, int64_t count, float* maxima) {
  constexpr float kLargestFinite = 3.402823466e38f;
  for (int64_t k = 0; k < count; ++k) {
    const float size = row[k] < 0 ? -row[k] : row[k];
    maxima[k] = size <= kLargestFinite && size > maxima[k] ? size : maxima[k];
  }
}

// Quantize a row of weights, divided by factors, to int8.
inline void quantize(const float* row, const float* factors, int64_t count, uint32_t* words,
                     float* scale, int32_t* sum, float* scratch) {
  int8_t* bytes = reinterpret_cast<int8_t*>(words);
  std::memset(words, 0, word_count(Precision::kInt8, count) * sizeof *words);
  for (int64_t k = 0; k < count; ++k) {
    scratch[k] = row[k] / factors[k];
  }
  *scale = weight_scale(scratch, count);
  int32_t total = 0;
  if (!is_nan(*scale)) {
    const float inverse = 1.0f / *scale;
    for (int64_t k = 0; k < count; ++k) {
      const int32_t number = nearest(scratch[k] * inverse);
      bytes[k] = static_cast<int8_t>(number);
      total += number;
    }
  }
  *sum = total;
}

// Quantize a row, times its factors, to bytes from kLowestByte on over its own range: after GELU nearly all
// numbers are above 0. The lowest and highest byte are spare, because rounding may reach them. The
// scale is NaN, as all products of the row will be, if its numbers or their range are not finite.
inline RowScale convert_int8(const float* x, const float* factors, int64_t count, uint8_t* bytes,
                             int64_t padded_count) {
  float lowest, highest;
  scaled_range(x, factors, count, &lowest, &highest);
  const float range = highest - lowest;
  if (is_nan(range * 0.0f)) {
    std::memset(bytes, 0, padded_count);
    return {range * 0.0f, 0};
  }
  const float scale = range > 1e-30f ? range / (kInputLimit - 2.0f) : 1.0f;
  const float inverse = 1.0f / scale;
  const int32_t zero_point = kLowestByte + 1 + nearest(-lowest * inverse);
  const float magic = 12582912.0f + zero_point;  // 1.5 * 2^23: see vector.h
  for (int64_t i = 0; i < count; ++i) {
    const float rounded = x[i] * factors[i] * inverse + magic;
    uint32_t bits;
    std::memcpy(&bits, &rounded, sizeof bits);
    bytes[i] = static_cast<uint8_t>(bits);
  }
  for (int64_t i = count; i < padded_count; ++i) {
    bytes[i] = 0;
  }
  return {scale, zero_point};
}

inline void convert(const Dense& layer, const float* x, int64_t ldx, int64_t rows, void* converted,
                    RowScale* scales) {
  for (int64_t i = 0; i < rows; ++i, x += ldx) {
    if (layer.precision == Precision::kInt8) {
      scales[i] = convert_int8(x, layer.factors, layer.in,
                               static_cast<uint8_t*>(converted) + i * layer.words * 4,
                               layer.words * 4);
    } else if (layer.precision == Precision::kRounded) {
      round_row(x, layer.in, static_cast<uint32_t*>(converted) + i * layer.words);
    } else {
      convert_bfloat16(x, layer.in, static_cast<uint16_t*>(converted) + i * layer.words * 2,
                       layer.words * 2);
    }
  }
}

// Add the bias to the sums of a panel and apply the activation.
inline void finish(const float* sums, int64_t rows, const Dense& layer, int64_t column,
                   Activation activation, float* y, int64_t ldy) {
  for (int c = 0; c < kColumns; c += kLanes) {
    const Floats bias = load(layer.bias + column + c);
    for (int64_t i = 0; i < rows; ++i) {
      store(y + i * ldy + c, activate(activation, load(sums + i * kColumns + c) + bias));
    }
  }
}

// The same for integer sums, which are converted to floats first.
inline void finish_int8(const float* sums, int64_t rows, const RowScale* row_scales,
                        const Dense& layer, int64_t column, Activation activation, float* y,
                        int64_t ldy) {
  for (int c = 0; c < kColumns; c += kLanes) {
    const Floats bias = load(layer.bias + column + c), scale = load(layer.scales + column + c);
    const Ints total = load_words(layer.column_sums + column + c);
    for (int64_t i = 0; i < rows; ++i) {
      const Ints sum = load_words(sums + i * kColumns + c) - total * row_scales[i].zero_point;
      const Floats product = __builtin_convertvector(sum, Floats) * scale * row_scales[i].scale;
      store(y + i * ldy + c, activate(activation, product + bias));
    }
  }
}

// Rows are processed in blocks that fit into the L2 cache, and words in slices, so that a slice of
// a panel stays in the L1 cache for all tiles of a block. All blocks, and all tiles of a block,
// have nearly equal heights, because low tiles are slower per row. Where a tile is low anyway, blocks
// consist of complete ones: with AVX2, 256 rows of 1536 words would else be tiles of 5 rows, 2 %
// slower; with AVX-512, of at most 14 rows, that brings nothing.
template <class Product>
inline void dense_words(const Dense& layer, const uint32_t* x, int64_t ldx, const RowScale* scales,
                        int64_t rows, int64_t begin, int64_t end, Activation activation, float* y,
                        int64_t ldy) {
  alignas(64) float sums[kMaxRows * kColumns];
  const uint32_t* panels = static_cast<const uint32_t*>(layer.panels);
  const int64_t words = layer.words, slices = (words + kSlice - 1) / kSlice;
  const int64_t target_rows = rows_at_a_time(layer.precision, kMaxRows);
  const int64_t cached_rows =
      kCachedWords / words < target_rows ? kCachedWords / words : target_rows;
  const int64_t max_rows = cached_rows < Product::kHeight ? Product::kHeight : cached_rows;
  constexpr int64_t kUnit = Product::kHeight <= 6 ? Product::kHeight : 1;  // rows
  const int64_t units = (rows + kUnit - 1) / kUnit, max_units = max_rows / kUnit;
  const int64_t blocks = (units + max_units - 1) / max_units;
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t top = rows * (units * block / blocks) / units;
    const int64_t count = rows * (units * (block + 1) / blocks) / units - top;
    const int64_t tiles = (count + Product::kHeight - 1) / Product::kHeight;
    for (int64_t panel = begin; panel < end; ++panel) {
      for (int64_t slice = 0; slice < slices; ++slice) {
        const int64_t from = words * slice / slices, depth = words * (slice + 1) / slices - from;
        for (int64_t n = 0; n < tiles; ++n) {
          const int64_t tile_top = n * count / tiles;
          const int height = static_cast<int>((n + 1) * count / tiles - tile_top);
          WordTiles<Product, Product::kHeight>::run(
              height, depth, x + (top + tile_top) * ldx + from, ldx,
              panels + (panel * words + from) * kColumns, sums + tile_top * kColumns, kColumns,
              slice > 0, depth * kColumns);
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

inline void dense(const Dense& layer, const void* x, int64_t ldx, const RowScale* scales,
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
