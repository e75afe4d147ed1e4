// Interface of the code that is compiled once for each kind of processor.
#ifndef GLUON_BERT_BACKEND_H_
#define GLUON_BERT_BACKEND_H_

#include <cstdint>

// One head of self-attention in one sequence. A token's query, key and value follow one another.
struct Attention {
  const float* input;     // (length, 3, D), `stride` floats from token to token
  const float* gradient;  // of the output, in the backward pass
  float* output;          // (length, D), `output_stride` floats from token to token
  float* input_gradient;  // as input
  int64_t stride, output_stride, length, D;
  int64_t queries;   // compute the output of this many tokens, from the first on
  bool in_bfloat16;  // forward without dropout: use bfloat16 products if the processor has them
  float dropout;     // probability of dropping a weight
  uint64_t seed;     // of the dropout, the same in both passes
};

// kRounded: numbers of bfloat16 that are stored as floats, for processors that do not multiply
// bfloat16. Their products are as exact and as fast as those of floats.
enum class Precision { kFloat32, kBFloat16, kInt8, kRounded };

// Quantization of a row in int8: x = scale * (byte - zero_point).
struct RowScale {
  float scale;
  int32_t zero_point;
};

// A dense layer with its weights packed in panels of columns: y = activation(x W^T + bias).
//
// In panels and in converted rows, numbers are packed into 32-bit words: one float, two bfloat16 or
// four int8, which one instruction multiplies and adds.
struct Dense {
  Precision precision = Precision::kFloat32;
  int64_t in = 0, out = 0;
  int64_t words = 0;                     // per row
  const void* panels = nullptr;          // (out / columns, words, columns) words, zero-padded
  const float* bias = nullptr;           // (out,), padded like the panels
  const float* scales = nullptr;         // of the weights of each column, for int8
  const int32_t* column_sums = nullptr;  // of the int8 weights
  const float* factors = nullptr;        // SmoothQuant factors of the inputs, for int8
};

// Dropout of the rows of an array: a function of the seed, the row and the column.
struct Dropout {
  float rate;  // probability of dropping a number
  uint64_t seed;
};

// Layer normalisation over C units.
struct Norm {
  const float *gamma, *beta;
  int64_t units;
  float eps;
};

// One step of Adam. decay_factor multiplies the weight first (decoupled decay); rescale multiplies
// the gradient, to which weight_decay times the weight is added (L2).
struct AdamStep {
  float lr, beta1, beta2, eps, decay_factor, weight_decay, rescale;
};

// Scores of some words at some positions, of which there are complete panels: that of word i at
// position j is products[i * stride + j] + bias[i].
struct WordScores {
  float* products;
  int64_t stride, words, positions;
  const float* bias;
};
constexpr float kLowestScore = -3.402823466e38f;

enum Activation { kNone, kGelu, kGeluTanh, kRelu, kTanh };

struct Backend {
  const char* name;
  int64_t columns;  // of a panel
  // The floats of scratch that attention needs for one head.
  int64_t (*attention_scratch_size)(int64_t length, int64_t D);
  void (*attention_forward)(const Attention&, float* scratch);
  void (*attention_backward)(const Attention&, float* scratch);
  // Raise each of the maxima to the absolute value of a number of the row, if that is finite.
  void (*raise_maxima)(const float* row, int64_t count, float* maxima);
  // Quantize a row of weights, divided by factors, to int8 in complete words. Also compute its scale
  // and the sum of the int8. scratch: of `count` floats.
  void (*quantize)(const float* row, const float* factors, int64_t count, uint32_t* words,
                   float* scale, int32_t* sum, float* scratch);
  // Convert rows to the precision of a layer: (rows, words) words, and for int8 their scales.
  void (*convert)(const Dense&, const float* x, int64_t ldx, int64_t rows, void* converted,
                  RowScale* scales);
  // Compute the panels from `begin` to `end` of a layer's output. x: rows of floats, or converted
  // rows if the layer is not in float32. y needs room for complete panels.
  void (*dense)(const Dense&, const void* x, int64_t ldx, const RowScale* scales, int64_t rows,
                int64_t begin, int64_t end, Activation, float* y, int64_t ldy);
  // Normalise x + residual, one row; y may be either of them.
  void (*add_norm)(const Norm&, const float* x, const float* residual, float* y);

  // --- For training. Rows are padded to complete vectors, except those of a norm.

  // y = x f (+ residual), with f = 0 for the dropped numbers of row number `row`, else 1 / (1 - p).
  void (*drop)(const float* x, const float* residual, const Dropout&, int64_t row, int64_t count,
               float* y);
  void (*normalize)(const Norm&, const float* x, float* y);
  // x is the input of the norm; dx may be dy; the gradients are added to dgamma and dbeta.
  void (*normalize_backward)(const Norm&, const float* dy, const float* x, float* dx,
                             float* dgamma, float* dbeta);
  void (*activate)(Activation, const float* x, int64_t count, float* y);
  // Recompute y and replace its gradient by that of x.
  void (*activate_backward)(Activation, const float* x, int64_t count, float* gradient, float* y);

  int64_t rows;  // of a tile
  // Pack a matrix b (depth, columns), with b[k, j] at b[k * row + j * column], as in a dense layer:
  // the panels of columns from `begin` to `end`.
  void (*lay_out)(Precision, const float* b, int64_t row, int64_t column, int64_t depth,
                  int64_t columns, int64_t begin, int64_t end, void* panels);
  // Pack a matrix y (depth, columns) for a transposed product: tiles of columns, (columns / rows,
  // words, rows) words. The sum of each column is added to `sums`.
  void (*lay_out_transposed)(Precision, const float* y, int64_t ldy, int64_t depth,
                             int64_t columns, int64_t begin, int64_t end, void* tiles,
                             float* sums);
  // c (+)= y^T b, (rows, columns): the tiles from `begin` to `end`.
  void (*multiply_transposed)(Precision, const void* tiles, const void* panels, int64_t depth,
                              int64_t rows, int64_t columns, int64_t begin, int64_t end, bool add,
                              float* c);

  // Compute the output of a layer in float32 that has no bias and at most half a panel, as dense()
  // does but faster. Returns false, and does nothing, if the layer or the rows are unsuitable.
  bool (*dense_narrow)(const Dense&, const float* x, int64_t ldx, int64_t rows, float* y,
                       int64_t ldy);
  // Compute the largest score at each position, and the sum of exp(score - largest).
  void (*sum_exponentials)(const WordScores&, float* maxima, float* sums);
  // Replace the products by exp(score - maximum) times the factor of the position. sums: of each
  // word, over the positions.
  void (*scale_exponentials)(const WordScores&, const float* maxima, const float* factors,
                             float* sums);

  // Update weights w, given gradients g, with moments m and v.
  void (*adam)(const AdamStep&, float* w, const float* g, float* m, float* v, int64_t count);
  float (*sum_of_squares)(const float* x, int64_t count);
  bool rounds_bfloat16;  // use kRounded in place of kBFloat16
};

// The number of 32-bit words that hold `count` numbers.
inline int64_t word_count(Precision precision, int64_t count) {
  const bool is_int8 = precision == Precision::kInt8;
  const int64_t per_word = is_int8 ? 4 : precision == Precision::kBFloat16 ? 2 : 1;
  return (count + per_word - 1) / per_word;
}

// The number of rows to process at a time, given that for float32. Weights of a lower precision are
// read faster, so fewer rows, which stay in the cache, are enough.
static inline int64_t rows_at_a_time(Precision precision, int64_t in_float32) {
  return precision == Precision::kInt8       ? in_float32 / 4
         : precision == Precision::kBFloat16 ? in_float32 / 2
                                             : in_float32;
}

extern const Backend kGeneric;
#ifdef __x86_64__
extern const Backend kAvx2, kAvx512, kAvx512Bf16;
#elif defined(__aarch64__) && defined(__linux__)
extern const Backend kNeon, kNeonDotprod, kNeonBf16;
#endif

// The fastest backend that runs on this processor.
const Backend& backend();

// The precision with this number in encoder.py, as this processor computes it.
inline Precision precision_of(int64_t number) {
  const Precision precision = static_cast<Precision>(number);
  const bool is_rounded = precision == Precision::kBFloat16 && backend().rounds_bfloat16;
  return is_rounded ? Precision::kRounded : precision;
}

#endif  // GLUON_BERT_BACKEND_H_
