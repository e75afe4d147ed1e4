// What is compiled for each kind of processor.
#ifndef GLUON_BERT_BACKEND_H_
#define GLUON_BERT_BACKEND_H_

#include <cstdint>

// One head of self-attention in one sequence. A token's queries, keys and values follow each other.
struct Attention {
  const float* input;      // (length, 3, D), `stride` floats from token to token
  const float* gradient;   // as output, in the backward pass
  float* output;           // (length, D), `output_stride` from token to token
  float* input_gradient;   // as input
  int64_t stride, output_stride, length, D;
  float dropped;           // probability with which a weight is dropped
  uint64_t seed;           // of what is dropped, the same in both passes
};

enum class Precision { kFloat32, kBFloat16, kInt8 };

// How a row's bytes are to be read: a number is size * (byte - zero).
struct Scale {
  float size;
  int32_t zero;
};

// A dense layer whose weights were laid out in panels of columns: y = activation(x W^T + bias).
//
// In panels, and in rows that were converted, numbers stand in words of 32 bits: one float, two
// bfloat16 or four int8, which are multiplied and added up together.
struct Dense {
  Precision precision = Precision::kFloat32;
  int64_t in = 0, out = 0;
  int64_t words = 0;               // of a row
  const void* panels = nullptr;    // (out / columns, words, columns) words, the last padded with 0
  const float* bias = nullptr;     // (out,), padded as the panels
  const float* scales = nullptr;   // of the weights of each column, for int8
  const int32_t* totals = nullptr; // the sum of each column's whole numbers, for int8
};

enum Activation { kNone, kGelu, kGeluTanh, kRelu, kTanh };

struct Backend {
  const char* name;
  int64_t columns;  // of a panel
  // How many floats attention needs to work in, for one head.
  int64_t (*attention_space)(int64_t length, int64_t D);
  void (*attention_forward)(const Attention&, float* space);
  void (*attention_backward)(const Attention&, float* space);
  // Lay out weights (out, in); for int8 also their scales and totals.
  void (*pack)(Precision, const float* weight, int64_t out, int64_t in, void* panels,
               float* scales, int32_t* totals);
  // Some rows in the precision of a layer: (rows, words) words, and for int8 their scales.
  void (*convert)(const Dense&, const float* x, int64_t ldx, int64_t rows, void* converted,
                  Scale* scales);
  // The panels from `begin` to `end` of a layer's output for some rows, as floats, or converted
  // where the layer is not in float32; y has room for whole panels.
  void (*dense)(const Dense&, const void* x, int64_t ldx, const Scale* scales, int64_t rows,
                int64_t begin, int64_t end, Activation, float* y, int64_t ldy);
  // y = (x + residual - mean) / sqrt(variance + eps) gamma + beta, one row.
  void (*add_norm)(const float* x, const float* residual, const float* gamma, const float* beta,
                   int64_t units, float eps, float* y);
};

inline int64_t words_of(Precision precision, int64_t count) {
  const bool is_int8 = precision == Precision::kInt8;
  const int64_t each = is_int8 ? 4 : precision == Precision::kBFloat16 ? 2 : 1;
  return (count + each - 1) / each;
}

extern const Backend kGeneric;
#ifdef __x86_64__
extern const Backend kAvx2, kAvx512, kAvx512Bf16;
#endif

// The fastest that runs here.
const Backend& backend();

#endif  // GLUON_BERT_BACKEND_H_
