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

// A dense layer whose weights were laid out in panels: y = activation(x W^T + bias).
struct Dense {
  int64_t in = 0, out = 0;
  const float* panels = nullptr;  // panel_size(in, out) floats
  const float* bias = nullptr;    // (out,), padded as the panels
};

enum Activation { kNone, kGelu, kGeluTanh, kRelu, kTanh };

struct Backend {
  const char* name;
  int64_t columns;  // of a panel
  // How many floats attention needs to work in, for one head.
  int64_t (*attention_space)(int64_t length, int64_t D);
  void (*attention_forward)(const Attention&, float* space);
  void (*attention_backward)(const Attention&, float* space);
  // Weights (out, in) as panels of columns, (out / columns, in, columns), the last padded with 0.
  void (*pack)(const float* weight, int64_t out, int64_t in, float* panels);
  // The panels from `begin` to `end` of a layer's output for some rows; y has room for whole panels.
  void (*dense)(const Dense&, const float* x, int64_t ldx, int64_t rows, int64_t begin, int64_t end,
                Activation, float* y, int64_t ldy);
  // y = (x + residual - mean) / sqrt(variance + eps) gamma + beta, one row.
  void (*add_norm)(const float* x, const float* residual, const float* gamma, const float* beta,
                   int64_t units, float eps, float* y);
};

extern const Backend kGeneric;
#ifdef __x86_64__
extern const Backend kAvx2, kAvx512;
#endif

// The fastest that runs here.
const Backend& backend();

#endif  // GLUON_BERT_BACKEND_H_
