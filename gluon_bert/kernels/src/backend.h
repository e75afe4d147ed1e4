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
  int64_t queries;         // the first tokens, of which the output is wanted
  bool in_bfloat16;        // forward and without dropout: products of it, if the processor's own
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
  const float* factors = nullptr;  // on the inputs, for int8
};

// What is dropped of the rows of an array: a function of the seed, the row and the column.
struct Dropout {
  float dropped;  // probability; 0: nothing
  uint64_t seed;
};

// Layer normalisation of rows of C numbers.
struct Norm {
  const float *gamma, *beta;
  int64_t units;
  float eps;
};

// A step of Adam. shrink: a factor on the weight first; decay: of the weight, added to the gradient,
// which `rescale` is a factor on.
struct AdamStep {
  float rate, beta1, beta2, eps, shrink, decay, rescale;
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
  // x + residual, normalised, one row; y may be either.
  void (*add_norm)(const Norm&, const float* x, const float* residual, float* y);

  // --- for training: rows of whole vectors, but for those of a norm

  // y = x f (+ residual), where f is 0 for what is dropped of row number `row`, else 1 / (1 - p).
  void (*drop)(const float* x, const float* residual, const Dropout&, int64_t row, int64_t count,
               float* y);
  void (*normalize)(const Norm&, const float* x, float* y);
  // x is the input; dx may be dy; dgamma and dbeta are added to.
  void (*normalize_backward)(const Norm&, const float* dy, const float* x, float* dx,
                             float* dgamma, float* dbeta);
  void (*activate)(Activation, const float* x, int64_t count, float* y);
  // y as above, and gradient becomes that of x.
  void (*activate_backward)(Activation, const float* x, int64_t count, float* gradient, float* y);

  int64_t rows;     // of a tile
  // Lay out a matrix b (depth, columns), of which b[k, j] is at b[k * row + j * column]: panels of
  // columns from `begin` to `end`, as those of a dense layer.
  void (*lay_out)(Precision, const float* b, int64_t row, int64_t column, int64_t depth,
                  int64_t columns, int64_t begin, int64_t end, void* panels);
  // Lay out a matrix y (depth, columns), to be multiplied transposed: tiles of columns, (columns /
  // rows, words, rows) words. Each column's sum is added to `sums`.
  void (*lay_out_transposed)(Precision, const float* y, int64_t ldy, int64_t depth,
                             int64_t columns, int64_t begin, int64_t end, void* tiles,
                             float* sums);
  // c (+)= y^T b, (rows, columns), the tiles from `begin` to `end`.
  void (*multiply_transposed)(Precision, const void* tiles, const void* panels, int64_t depth,
                              int64_t rows, int64_t columns, int64_t begin, int64_t end, bool add,
                              float* c);

  // The numbers w, with gradients g and moments m and v.
  void (*adam)(const AdamStep&, float* w, const float* g, float* m, float* v, int64_t count);
  float (*sum_of_squares)(const float* x, int64_t count);
};

inline int64_t words_of(Precision precision, int64_t count) {
  const bool is_int8 = precision == Precision::kInt8;
  const int64_t each = is_int8 ? 4 : precision == Precision::kBFloat16 ? 2 : 1;
  return (count + each - 1) / each;
}

// How many rows to take at a time, so many in float32: weights of a lower precision come faster, so
// that fewer rows, which stay nearer, are worth it.
static inline int64_t rows_at_a_time(Precision precision, int64_t in_float32) {
  return precision == Precision::kInt8       ? in_float32 / 4
         : precision == Precision::kBFloat16 ? in_float32 / 2
                                             : in_float32;
}

extern const Backend kGeneric;
#ifdef __x86_64__
extern const Backend kAvx2, kAvx512, kAvx512Bf16;
#endif

// The fastest that runs here.
const Backend& backend();

#endif  // GLUON_BERT_BACKEND_H_
