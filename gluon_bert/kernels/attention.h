// Attention of one head in one sequence, forward and backward: softmax(Q K^T / sqrt(D)) V over the
// valid tokens, with dropout of the weights (Vaswani et al., 2017, section 3.2.1).
//
// The weights are made block by block of the queries, and made again in the backward pass: nothing
// of size T x T is kept. Included by backend_*.cc.
#ifndef GLUON_BERT_ATTENTION_H_
#define GLUON_BERT_ATTENTION_H_

#include "backend.h"
#include "random.h"
#include "vector.h"

namespace {

constexpr int64_t kBlock = 48;  // queries at a time
constexpr int kWidest = 32;     // a multiple of all kColumns: all processors draw the same numbers

inline int64_t padded(int64_t size) { return (size + kWidest - 1) / kWidest * kWidest; }

// Which weights of a block of queries are dropped: the factors 0 and 1 / (1 - p), row by row.
inline void draw(uint64_t seed, float dropped, int64_t count, float* factors) {
  Streams streams(&seed);
  const uint32_t least = threshold(dropped);
  const float keep = 1.0f / (1.0f - dropped);
  for (int64_t i = 0; i < count; i += kStreams) {
    for (int lane = 0; lane < kStreams; ++lane) {
      factors[i + lane] = streams.next(lane) >= least ? keep : 0.0f;
    }
  }
}

// One head's matrices out of the operator's input, and where its results go.
struct Head {
  int64_t width, keys;  // D and the tokens, padded for multiply()
  float *query, *key, *value;   // (length, width)
  float* key_columns;           // (D, keys): transposed
  float* weights;               // (kBlock, keys)
  float* factors;               // (kBlock, keys)
  float* block;                 // (kBlock, width)
  float *gradient, *value_columns, *weight_gradient;  // backward: (length, width), (D, keys), ...
  float *key_gradient, *value_gradient;               // (length, width)
};

inline int64_t attention_space(int64_t T, int64_t D) {
  const int64_t width = padded(D), keys = padded(T);
  return 6 * T * width + 2 * D * keys + 3 * kBlock * keys + kBlock * width;
}

inline void copy_rows(const float* source, int64_t stride, int64_t rows, int64_t columns,
                      float scale, float* target, int64_t width) {
  for (int64_t t = 0; t < rows; ++t) {
    for (int64_t d = 0; d < columns; ++d) {
      target[t * width + d] = source[t * stride + d] * scale;
    }
    for (int64_t d = columns; d < width; ++d) {
      target[t * width + d] = 0;
    }
  }
}

inline void transpose(const float* source, int64_t width, int64_t rows, int64_t columns,
                      float* target, int64_t keys) {
  for (int64_t d = 0; d < columns; ++d) {
    for (int64_t t = 0; t < rows; ++t) {
      target[d * keys + t] = source[t * width + d];
    }
    for (int64_t t = rows; t < keys; ++t) {
      target[d * keys + t] = 0;
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

inline float* take(float** space, int64_t count) {
  float* found = *space;
  *space += count;
  return found;
}

inline Head read_head(const Attention& a, float* space) {
  Head h;
  h.width = padded(a.D);
  h.keys = padded(a.length);
  h.query = take(&space, a.length * h.width);
  h.key = take(&space, a.length * h.width);
  h.value = take(&space, a.length * h.width);
  h.key_columns = take(&space, a.D * h.keys);
  h.weights = take(&space, kBlock * h.keys);
  h.factors = take(&space, kBlock * h.keys);
  h.block = take(&space, kBlock * h.width);
  copy_rows(a.input, a.stride, a.queries, a.D, 1 / __builtin_sqrtf(a.D), h.query, h.width);
  copy_rows(a.input + a.D, a.stride, a.length, a.D, 1, h.key, h.width);
  copy_rows(a.input + 2 * a.D, a.stride, a.length, a.D, 1, h.value, h.width);
  transpose(h.key, h.width, a.length, a.D, h.key_columns, h.keys);
  if (a.gradient) {
    h.gradient = take(&space, a.length * h.width);
    h.value_columns = take(&space, a.D * h.keys);
    h.weight_gradient = take(&space, kBlock * h.keys);
    h.key_gradient = take(&space, a.length * h.width);
    h.value_gradient = take(&space, a.length * h.width);
    copy_rows(a.gradient, a.output_stride, a.queries, a.D, 1, h.gradient, h.width);
    transpose(h.value, h.width, a.length, a.D, h.value_columns, h.keys);
  }
  return h;
}

inline void softmax(float* row, int64_t length, int64_t keys) {
  for (int64_t j = length; j < keys; ++j) {
    row[j] = -1e30f;
  }
  Floats highest = load(row);
  for (int64_t j = kLanes; j < keys; j += kLanes) {
    highest = larger(highest, load(row + j));
  }
  const Floats top = same(largest(highest));
  Floats total{};
  for (int64_t j = 0; j < keys; j += kLanes) {
    const Floats x = exponential(load(row + j) - top);
    total += x;
    store(row + j, x);
  }
  const float scale = 1 / sum(total);
  for (int64_t j = 0; j < keys; j += kLanes) {
    store(row + j, load(row + j) * scale);
  }
}

// The weights of the queries from `begin` on, and with dropout the factors on them.
inline void make_weights(const Attention& a, const Head& h, int64_t begin, int64_t count) {
  multiply(count, h.keys, a.D, h.query + begin * h.width, h.width, 1, h.key_columns, h.keys,
           h.weights, h.keys, false);
  for (int64_t i = 0; i < count; ++i) {
    softmax(h.weights + i * h.keys, a.length, h.keys);
  }
  if (a.dropped > 0) {
    uint64_t seed = a.seed + 0x632be59bd9b4e019ULL * (begin / kBlock);
    draw(split_mix(&seed), a.dropped, count * h.keys, h.factors);
  }
}

inline void scale_by(float* x, const float* factors, int64_t count) {
  for (int64_t i = 0; i < count; i += kLanes) {
    store(x + i, load(x + i) * load(factors + i));
  }
}

inline void attention_forward(const Attention& a, float* space) {
  const Head h = read_head(a, space);
  for (int64_t begin = 0; begin < a.queries; begin += kBlock) {
    const int64_t count = a.queries - begin < kBlock ? a.queries - begin : kBlock;
    make_weights(a, h, begin, count);
    if (a.dropped > 0) {
      scale_by(h.weights, h.factors, count * h.keys);
    }
    multiply(count, h.width, a.length, h.weights, h.keys, 1, h.value, h.width, h.block, h.width,
             false);
    write_rows(h.block, h.width, count, a.D, 1, a.output + begin * a.output_stride,
               a.output_stride);
  }
}

// weight_gradient becomes the gradient of the scores, P (dP - sum(dP P)), row by row.
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

inline void attention_backward(const Attention& a, float* space) {
  const Head h = read_head(a, space);
  const float scale = 1 / __builtin_sqrtf(a.D);
  for (int64_t begin = 0; begin < a.queries; begin += kBlock) {
    const int64_t count = a.queries - begin < kBlock ? a.queries - begin : kBlock;
    const float* gradient = h.gradient + begin * h.width;
    make_weights(a, h, begin, count);
    multiply(count, h.keys, a.D, gradient, h.width, 1, h.value_columns, h.keys,
             h.weight_gradient, h.keys, false);
    if (a.dropped > 0) {
      scale_by(h.weight_gradient, h.factors, count * h.keys);
    }
    for (int64_t i = 0; i < count; ++i) {
      softmax_backward(h.weights + i * h.keys, h.weight_gradient + i * h.keys, h.keys);
    }
    if (a.dropped > 0) {
      scale_by(h.weights, h.factors, count * h.keys);
    }
    multiply(count, h.width, a.length, h.weight_gradient, h.keys, 1, h.key, h.width, h.block,
             h.width, false);
    write_rows(h.block, h.width, count, a.D, scale, a.input_gradient + begin * a.stride, a.stride);
    multiply(a.length, h.width, count, h.weight_gradient, 1, h.keys, h.query + begin * h.width,
             h.width, h.key_gradient, h.width, begin > 0);
    multiply(a.length, h.width, count, h.weights, 1, h.keys, gradient, h.width, h.value_gradient,
             h.width, begin > 0);
  }
  for (int64_t t = a.queries; t < a.length; ++t) {
    for (int64_t d = 0; d < a.D; ++d) {
      a.input_gradient[t * a.stride + d] = 0;
    }
  }
  // The queries were scaled when they were read, so that the keys' gradient already is.
  write_rows(h.key_gradient, h.width, a.length, a.D, 1, a.input_gradient + a.D, a.stride);
  write_rows(h.value_gradient, h.width, a.length, a.D, 1, a.input_gradient + 2 * a.D, a.stride);
}

}  // namespace

#endif  // GLUON_BERT_ATTENTION_H_
