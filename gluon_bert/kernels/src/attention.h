// Attention of one head in one sequence, forward and backward: softmax(Q K^T / sqrt(D)) V over the
// valid tokens, with dropout of the weights (Vaswani et al., 2017, section 3.2.1).
//
// The weights are computed for one block of queries at a time, and again in the backward pass, so
// that nothing of size T x T is stored. Included by backend_*.cc.
#ifndef GLUON_BERT_ATTENTION_H_
#define GLUON_BERT_ATTENTION_H_

#include "backend.h"
#include "layouts.h"
#include "low_precision.h"
#include "random.h"
#include "vector.h"

namespace {

constexpr int64_t kBlock = 48;  // queries at a time
constexpr int kMaxColumns = 32;  // multiple of every kColumns, so that dropout is portable

inline int64_t pad_widest(int64_t size) {
  return (size + kMaxColumns - 1) / kMaxColumns * kMaxColumns;
}

// Draw the dropout factors of a block of weights, row by row: 0 or 1 / (1 - p).
inline void draw_factors(uint64_t seed, float dropout, int64_t count, float* factors) {
  Streams streams(&seed);
  const uint32_t limit = threshold(dropout);
  const float keep_scale = 1.0f / (1.0f - dropout);
  for (int64_t i = 0; i < count; i += kStreams) {
    for (int lane = 0; lane < kStreams; ++lane) {
      factors[i + lane] = streams.next(lane) >= limit ? keep_scale : 0.0f;
    }
  }
}

// Rows of D numbers for multiply(), zero-padded to complete columns.
struct Rows {
  const float* begin;
  int64_t stride;
  const float* operator[](int64_t row) const { return begin + row * stride; }
};

// The matrices of one head, read from the input, and intermediate results.
struct Head {
  int64_t width, keys;  // D and length, padded for multiply()
  float scale;          // 1 / sqrt(D)
  Rows query, value;    // (length, D)
  float* key_columns;   // (D, keys), transposed
  float* weights;       // (kBlock, keys)
  float* factors;       // (kBlock, keys), of the dropout
  float* block;         // (kBlock, width)
  // For the backward pass only.
  Rows key, gradient;                    // (length, D)
  float* value_columns;                  // (D, keys), transposed
  float* weight_gradient;                // (kBlock, keys)
  float *key_gradient, *value_gradient;  // (length, width)
};

inline int64_t attention_scratch_size(int64_t T, int64_t D) {
  const int64_t width = pad_widest(D), keys = pad_widest(T);
  return 6 * T * width + 2 * D * keys + 3 * kBlock * keys + kBlock * width;
}

// Take `count` floats from the scratch.
inline float* take(float** scratch, int64_t count) {
  float* begin = *scratch;
  *scratch += count;
  return begin;
}

// Use rows in place, or copy them with zero padding if D is not a multiple of kColumns.
inline Rows read_rows(const float* source, int64_t stride, int64_t rows, int64_t D,
                      float** scratch) {
  if (D % kColumns == 0) {
    return {source, stride};
  }
  const int64_t width = pad_widest(D);
  float* target = take(scratch, rows * width);
  for (int64_t t = 0; t < rows; ++t) {
    std::memcpy(target + t * width, source + t * stride, D * sizeof(float));
    std::memset(target + t * width + D, 0, (width - D) * sizeof(float));
  }
  return {target, width};
}

// Transpose (T, D) to (D, keys), zero-padded.
inline void transpose(const float* source, int64_t stride, int64_t T, int64_t D, float* target,
                      int64_t keys) {
  for (int64_t t = 0; t < keys; t += kLanes) {
    int64_t d = 0;
    for (; t + kLanes <= T && d + kLanes <= D; d += kLanes) {
      Floats rows[kLanes];
      read_square(source + t * stride + d, stride, rows);
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) {
        store(target + (d + i) * keys + t, rows[i]);
      }
    }
    for (; d < D; ++d) {
      for (int64_t i = t; i < t + kLanes; ++i) {
        target[d * keys + i] = i < T ? source[i * stride + d] : 0;
      }
    }
  }
}

inline void write_rows(const float* rows, int64_t width, int64_t count, int64_t columns,
                       float scale, float* target, int64_t stride) {
  for (int64_t t = 0; t < count; ++t) {
    for (int64_t d = 0; d < columns; ++d) {
      target[t * stride + d] = rows[t * width + d] * scale;
    }
  }
}

inline Head read_head(const Attention& a, float* scratch) {
  Head h;
  h.width = pad_widest(a.D);
  h.keys = pad_widest(a.length);
  h.scale = 1 / __builtin_sqrtf(a.D);
  h.query = read_rows(a.input, a.stride, a.queries, a.D, &scratch);
  h.value = read_rows(a.input + 2 * a.D, a.stride, a.length, a.D, &scratch);
  h.key_columns = take(&scratch, a.D * h.keys);
  h.weights = take(&scratch, kBlock * h.keys);
  h.factors = take(&scratch, kBlock * h.keys);
  h.block = take(&scratch, kBlock * h.width);
  transpose(a.input + a.D, a.stride, a.length, a.D, h.key_columns, h.keys);
  if (a.gradient) {
    h.key = read_rows(a.input + a.D, a.stride, a.length, a.D, &scratch);
    h.gradient = read_rows(a.gradient, a.output_stride, a.queries, a.D, &scratch);
    h.value_columns = take(&scratch, a.D * h.keys);
    h.weight_gradient = take(&scratch, kBlock * h.keys);
    h.key_gradient = take(&scratch, a.length * h.width);
    h.value_gradient = take(&scratch, a.length * h.width);
    transpose(a.input + 2 * a.D, a.stride, a.length, a.D, h.value_columns, h.keys);
  }
  return h;
}

// Replace a row of scores by exp(scale (score - max)), which is 0 or nearly 0 past `length`, and
// return their sum.
inline float exp_row(float* row, int64_t length, int64_t keys, float scale) {
  for (int64_t j = length; j < keys; ++j) {
    row[j] = -__builtin_inff();
  }
  Floats highest = load(row);
  for (int64_t j = kLanes; j < keys; j += kLanes) {
    highest = larger(highest, load(row + j));
  }
  const Floats top = broadcast(largest(highest) * scale);
  Floats total{};
  for (int64_t j = 0; j < keys; j += kLanes) {
    const Floats x = exponential(load(row + j) * scale - top);
    total += x;
    store(row + j, x);
  }
  return sum(total);
}

// Compute the weights of `count` queries from `begin` on, not divided by their row sums, and with
// dropout their factors.
inline void make_weights(const Attention& a, const Head& h, int64_t begin, int64_t count,
                         float* row_sums) {
  multiply(count, h.keys, a.D, h.query[begin], h.query.stride, 1, h.key_columns, h.keys, h.weights,
           h.keys, false);
  for (int64_t i = 0; i < count; ++i) {
    row_sums[i] = exp_row(h.weights + i * h.keys, a.length, h.keys, h.scale);
  }
  if (a.dropout > 0) {
    uint64_t seed = a.seed + 0x632be59bd9b4e019ULL * (begin / kBlock);
    draw_factors(split_mix(&seed), a.dropout, count * h.keys, h.factors);
  }
}

// Multiply a row by a number.
inline void scale_row(float* x, float factor, int64_t count) {
  for (int64_t i = 0; i < count; i += kLanes) {
    store(x + i, load(x + i) * factor);
  }
}

// Multiply numbers by factors, one by one.
inline void scale_by(float* x, const float* factors, int64_t count) {
  for (int64_t i = 0; i < count; i += kLanes) {
    store(x + i, load(x + i) * load(factors + i));
  }
}

// c = a b in bfloat16: a is (rows, words) words, b is packed in panels of columns.
inline void multiply_words(int64_t rows, int64_t columns, int64_t words, const uint32_t* a,
                           const uint32_t* panels, float* c, int64_t ldc) {
  const int64_t tiles = (rows + kRows - 1) / kRows;
  for (int64_t j = 0; j < columns; j += kColumns, panels += words * kColumns) {
    for (int64_t n = 0; n < tiles; ++n) {
      const int64_t top = n * rows / tiles;
      const int height = static_cast<int>((n + 1) * rows / tiles - top);
      WordTiles<BFloat16Product, kRows>::run(height, words, a + top * words, words, panels,
                                             c + top * ldc + j, ldc, false, 0);
    }
  }
}

// The forward pass without dropout, in bfloat16 products; the softmax is in float32.
inline void attention_bfloat16(const Attention& a, float* scratch) {
  const Precision precision = Precision::kBFloat16;
  const int64_t keys = pad_widest(a.length), width = pad_widest(a.D);
  const int64_t words = word_count(precision, a.D);
  const auto take_words = [&](int64_t count) {
    return reinterpret_cast<uint32_t*>(take(&scratch, count));
  };
  uint32_t *key_panels = take_words(words * keys), *value_panels = take_words(keys / 2 * width),
           *query = take_words(kBlock * words), *weights = take_words(kBlock * keys / 2);
  float *scores = take(&scratch, kBlock * keys), *block = take(&scratch, kBlock * width);
  for (int64_t j = 0; j < a.length; j += kColumns) {
    lay_out_columns(precision, a.input + a.D + j * a.stride, a.stride, a.D, a.length - j,
                    key_panels + j * words);
  }
  for (int64_t j = 0; j < a.D; j += kColumns) {
    uint32_t* panel = value_panels + j * (keys / 2);
    lay_out_rows<kColumns>(precision, a.input + 2 * a.D + j, a.stride, a.length, a.D - j, panel);
    const int64_t length_words = word_count(precision, a.length);
    std::memset(panel + length_words * kColumns, 0,
                (keys / 2 - length_words) * kColumns * sizeof *panel);
  }
  const float scale = 1 / __builtin_sqrtf(a.D);
  for (int64_t begin = 0; begin < a.queries; begin += kBlock) {
    const int64_t count = a.queries - begin < kBlock ? a.queries - begin : kBlock;
    float row_sums[kBlock];
    for (int64_t i = 0; i < count; ++i) {
      convert_bfloat16(a.input + (begin + i) * a.stride, a.D,
                       reinterpret_cast<uint16_t*>(query + i * words), 2 * words);
    }
    multiply_words(count, keys, words, query, key_panels, scores, keys);
    for (int64_t i = 0; i < count; ++i) {
      row_sums[i] = exp_row(scores + i * keys, a.length, keys, scale);
      convert_bfloat16(scores + i * keys, keys, reinterpret_cast<uint16_t*>(weights + i * keys / 2),
                       keys);
    }
    multiply_words(count, pad_columns(a.D), keys / 2, weights, value_panels, block, width);
    for (int64_t i = 0; i < count; ++i) {
      write_rows(block + i * width, width, 1, a.D, 1 / row_sums[i],
                 a.output + (begin + i) * a.output_stride, a.output_stride);
    }
  }
}

inline void attention_forward(const Attention& a, float* scratch) {
  if (kHasBFloat16 && a.in_bfloat16) {
    attention_bfloat16(a, scratch);
    return;
  }
  const Head h = read_head(a, scratch);
  float row_sums[kBlock];
  for (int64_t begin = 0; begin < a.queries; begin += kBlock) {
    const int64_t count = a.queries - begin < kBlock ? a.queries - begin : kBlock;
    make_weights(a, h, begin, count, row_sums);
    if (a.dropout > 0) {
      scale_by(h.weights, h.factors, count * h.keys);
    }
    multiply(count, pad_columns(a.D), a.length, h.weights, h.keys, 1, h.value.begin,
             h.value.stride, h.block, h.width, false);
    for (int64_t i = 0; i < count; ++i) {
      write_rows(h.block + i * h.width, h.width, 1, a.D, 1 / row_sums[i],
                 a.output + (begin + i) * a.output_stride, a.output_stride);
    }
  }
}

// Replace a row of the gradient dP of the weights by that of the scores, P (dP - sum(dP P)).
inline void softmax_backward(const float* weights, float* gradient, int64_t keys) {
  Floats products{};
  for (int64_t j = 0; j < keys; j += kLanes) {
    products += load(weights + j) * load(gradient + j);
  }
  const float mean = sum(products);
  for (int64_t j = 0; j < keys; j += kLanes) {
    store(gradient + j, load(weights + j) * (load(gradient + j) - mean));
  }
}

inline void attention_backward(const Attention& a, float* scratch) {
  const Head h = read_head(a, scratch);
  const int64_t columns = pad_columns(a.D);
  float row_sums[kBlock];
  for (int64_t begin = 0; begin < a.queries; begin += kBlock) {
    const int64_t count = a.queries - begin < kBlock ? a.queries - begin : kBlock;
    make_weights(a, h, begin, count, row_sums);
    for (int64_t i = 0; i < count; ++i) {
      scale_row(h.weights + i * h.keys, 1 / row_sums[i], h.keys);
    }
    multiply(count, h.keys, a.D, h.gradient[begin], h.gradient.stride, 1, h.value_columns, h.keys,
             h.weight_gradient, h.keys, false);
    if (a.dropout > 0) {
      scale_by(h.weight_gradient, h.factors, count * h.keys);
    }
    for (int64_t i = 0; i < count; ++i) {
      softmax_backward(h.weights + i * h.keys, h.weight_gradient + i * h.keys, h.keys);
    }
    if (a.dropout > 0) {
      scale_by(h.weights, h.factors, count * h.keys);
    }
    multiply(count, columns, a.length, h.weight_gradient, h.keys, 1, h.key.begin, h.key.stride,
             h.block, h.width, false);
    write_rows(h.block, h.width, count, a.D, h.scale, a.input_gradient + begin * a.stride,
               a.stride);
    multiply(a.length, columns, count, h.weight_gradient, 1, h.keys, h.query[begin],
             h.query.stride, h.key_gradient, h.width, begin > 0);
    multiply(a.length, columns, count, h.weights, 1, h.keys, h.gradient[begin], h.gradient.stride,
             h.value_gradient, h.width, begin > 0);
  }
  for (int64_t t = a.queries; t < a.length; ++t) {
    for (int64_t d = 0; d < a.D; ++d) {
      a.input_gradient[t * a.stride + d] = 0;
    }
  }
  write_rows(h.key_gradient, h.width, a.length, a.D, h.scale, a.input_gradient + a.D, a.stride);
  write_rows(h.value_gradient, h.width, a.length, a.D, 1, a.input_gradient + 2 * a.D, a.stride);
}

}  // namespace

#endif  // GLUON_BERT_ATTENTION_H_
