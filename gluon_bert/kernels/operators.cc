// Operators that MXNet's wheels, built for the oldest x86-64, run slowly: residual addition with
// layer normalisation, and dropout. Loaded with mx.library.load. float32, CPU.
//
// Letters: R rows (all axes but the last), C units.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <omp.h>

#include "extension.h"
#include "random.h"

// One build is right on every processor: the loader picks the widest version that runs there.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define DISPATCHED __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define DISPATCHED
#endif

namespace {

// --- y = (x + residual - mean) / sqrt(variance + eps) * gamma + beta, row by row ---------------

DISPATCHED void normalize_row(const float* x, const float* residual, const float* gamma,
                              const float* beta, int C, float eps, float* y, float* mean,
                              float* scale) {
  float total = 0;
#pragma omp simd reduction(+ : total)
  for (int i = 0; i < C; ++i) {
    y[i] = x[i] + residual[i];
    total += y[i];
  }
  const float centre = total / C;
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (int i = 0; i < C; ++i) {
    squares += (y[i] - centre) * (y[i] - centre);
  }
  const float inverse = 1.0f / std::sqrt(squares / C + eps);
#pragma omp simd
  for (int i = 0; i < C; ++i) {
    y[i] = (y[i] - centre) * inverse * gamma[i] + beta[i];
  }
  *mean = centre;
  *scale = inverse;
}

// With h the normalised row and t = dy * gamma: dx = scale * (t - mean(t) - h * mean(t * h)).
DISPATCHED void normalize_row_backward(const float* dy, const float* x, const float* residual,
                                       const float* gamma, int C, float mean, float scale,
                                       float* dx, float* dgamma, float* dbeta) {
  float sum = 0, product = 0;
#pragma omp simd reduction(+ : sum, product)
  for (int i = 0; i < C; ++i) {
    const float h = (x[i] + residual[i] - mean) * scale;
    const float t = dy[i] * gamma[i];
    sum += t;
    product += t * h;
    dgamma[i] += dy[i] * h;
    dbeta[i] += dy[i];
    dx[i] = h;
  }
  sum /= C;
  product /= C;
#pragma omp simd
  for (int i = 0; i < C; ++i) {
    dx[i] = scale * (dy[i] * gamma[i] - sum - dx[i] * product);
  }
}

// inputs: x, residual, gamma, beta; outputs: y, mean, scale
MXReturnValue add_norm_parse(const Attributes&, int* num_in, int* num_out) {
  *num_in = 4;
  *num_out = 3;
  return MX_SUCCESS;
}

MXReturnValue add_norm_type(const Attributes&, std::vector<int>* in, std::vector<int>* out) {
  std::fill(in->begin(), in->end(), kFloat32);
  std::fill(out->begin(), out->end(), kFloat32);
  return MX_SUCCESS;
}

MXReturnValue add_norm_shape(const Attributes&, std::vector<std::vector<unsigned>>* in,
                             std::vector<std::vector<unsigned>>* out) {
  std::vector<unsigned> rows = in->at(0);
  if (rows.empty()) {
    return MX_FAIL;
  }
  out->at(0) = rows;
  rows.back() = 1;
  out->at(1) = rows;
  out->at(2) = rows;
  return MX_SUCCESS;
}

MXReturnValue add_norm_forward(const Attributes& attributes, std::vector<MXTensor>* in,
                               std::vector<MXTensor>* out, const OpResource&) {
  const float eps = number(attributes, "eps", 1e-12f);
  const int C = static_cast<int>(in->at(0).shape.back());
  const int64_t R = in->at(0).size() / C;
  const float* x = in->at(0).data<float>();
  const float* residual = in->at(1).data<float>();
  const float* gamma = in->at(2).data<float>();
  const float* beta = in->at(3).data<float>();
  float* y = out->at(0).data<float>();
  float* mean = out->at(1).data<float>();
  float* scale = out->at(2).data<float>();
#pragma omp parallel for
  for (int64_t r = 0; r < R; ++r) {
    normalize_row(x + r * C, residual + r * C, gamma, beta, C, eps, y + r * C, mean + r, scale + r);
  }
  return MX_SUCCESS;
}

// inputs: dy, dmean, dscale, x, residual, gamma, beta, y, mean, scale
// outputs: dx, dresidual, dgamma, dbeta
MXReturnValue add_norm_backward(const Attributes&, std::vector<MXTensor>* in,
                                std::vector<MXTensor>* out, const OpResource&) {
  const int C = static_cast<int>(in->at(3).shape.back());
  const int64_t R = in->at(3).size() / C;
  const float* dy = in->at(0).data<float>();
  const float* x = in->at(3).data<float>();
  const float* residual = in->at(4).data<float>();
  const float* gamma = in->at(5).data<float>();
  const float* mean = in->at(8).data<float>();
  const float* scale = in->at(9).data<float>();
  float* dx = out->at(0).data<float>();
  float* dresidual = out->at(1).data<float>();
  float* dgamma = out->at(2).data<float>();
  float* dbeta = out->at(3).data<float>();
  // The rows are summed in blocks of a fixed size, so that the result is the same with any number
  // of threads.
  const int64_t block = 128, num_blocks = (R + block - 1) / block;
  std::vector<float> sums(2 * C * num_blocks, 0.0f);
#pragma omp parallel for
  for (int64_t b = 0; b < num_blocks; ++b) {
    float* own = sums.data() + 2 * C * b;
    for (int64_t r = b * block; r < std::min(R, (b + 1) * block); ++r) {
      normalize_row_backward(dy + r * C, x + r * C, residual + r * C, gamma, C, mean[r], scale[r],
                             dx + r * C, own, own + C);
      std::copy_n(dx + r * C, C, dresidual + r * C);
    }
  }
  std::fill_n(dgamma, C, 0.0f);
  std::fill_n(dbeta, C, 0.0f);
  for (int64_t b = 0; b < num_blocks; ++b) {
    for (int i = 0; i < C; ++i) {
      dgamma[i] += sums[2 * C * b + i];
      dbeta[i] += sums[2 * C * b + C + i];
    }
  }
  return MX_SUCCESS;
}

// --- y = x * mask, mask drawn: 0 with probability p, else 1 / (1 - p) ---------------------------

constexpr int64_t kBlock = 4096;  // values of one random stream

DISPATCHED void drop_block(const float* x, int64_t count, uint64_t seed, uint32_t least,
                           float keep_scale, float* y, uint8_t* kept) {
  Streams streams(&seed);
  int64_t i = 0;
  for (; i + kStreams <= count; i += kStreams) {
#pragma omp simd
    for (int lane = 0; lane < kStreams; ++lane) {
      const bool keep = streams.next(lane) >= least;
      kept[i + lane] = keep;
      y[i + lane] = keep ? x[i + lane] * keep_scale : 0.0f;
    }
  }
  for (; i < count; ++i) {
    const bool keep = static_cast<uint32_t>(split_mix(&seed) >> 32) >= least;
    kept[i] = keep;
    y[i] = keep ? x[i] * keep_scale : 0.0f;
  }
}

DISPATCHED void drop_block_backward(const float* dy, const uint8_t* kept, int64_t count,
                                    float keep_scale, float* dx) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    dx[i] = kept[i] ? dy[i] * keep_scale : 0.0f;
  }
}

// inputs: x, mode; outputs: y, kept
MXReturnValue dropout_parse(const Attributes&, int* num_in, int* num_out) {
  *num_in = 2;
  *num_out = 2;
  return MX_SUCCESS;
}

MXReturnValue dropout_type(const Attributes&, std::vector<int>* in, std::vector<int>* out) {
  std::fill(in->begin(), in->end(), kFloat32);
  out->at(0) = kFloat32;
  out->at(1) = kUint8;
  return MX_SUCCESS;
}

MXReturnValue dropout_shape(const Attributes&, std::vector<std::vector<unsigned>>* in,
                            std::vector<std::vector<unsigned>>* out) {
  in->at(1) = {1};
  out->at(0) = in->at(0);
  out->at(1) = in->at(0);
  return MX_SUCCESS;
}

MXReturnValue dropout_forward(const Attributes& attributes, std::vector<MXTensor>* in,
                              std::vector<MXTensor>* out, const OpResource& resource) {
  const float p = number(attributes, "p", 0.1f);
  const int64_t size = in->at(0).size();
  const float* x = in->at(0).data<float>();
  float* y = out->at(0).data<float>();
  uint8_t* kept = out->at(1).data<uint8_t>();
  if (!is_training(in->at(1))) {
    std::copy_n(x, size, y);
    return MX_SUCCESS;
  }
  const uint64_t seed = draw_seed(resource);
  const int64_t num_blocks = (size + kBlock - 1) / kBlock;
#pragma omp parallel for
  for (int64_t b = 0; b < num_blocks; ++b) {
    uint64_t stream = seed + b * 0x632be59bd9b4e019ULL;
    const int64_t begin = b * kBlock;
    drop_block(x + begin, std::min(kBlock, size - begin), split_mix(&stream), threshold(p),
               1.0f / (1.0f - p), y + begin, kept + begin);
  }
  return MX_SUCCESS;
}

// inputs: dy, dkept, x, mode, y, kept; outputs: dx, dmode
MXReturnValue dropout_backward(const Attributes& attributes, std::vector<MXTensor>* in,
                               std::vector<MXTensor>* out, const OpResource&) {
  const float p = number(attributes, "p", 0.1f);
  const int64_t size = out->at(0).size();
  const float* dy = in->at(0).data<float>();
  const uint8_t* kept = in->at(5).data<uint8_t>();
  float* dx = out->at(0).data<float>();
  *out->at(1).data<float>() = 0.0f;
  if (!is_training(in->at(3))) {
    std::copy_n(dy, size, dx);
    return MX_SUCCESS;
  }
  const int64_t num_blocks = (size + kBlock - 1) / kBlock;
#pragma omp parallel for
  for (int64_t b = 0; b < num_blocks; ++b) {
    const int64_t begin = b * kBlock;
    drop_block_backward(dy + begin, kept + begin, std::min(kBlock, size - begin),
                        1.0f / (1.0f - p), dx + begin);
  }
  return MX_SUCCESS;
}

// --- Adam, one parameter, and the sum of squares for clipping; called directly, no operators ----

DISPATCHED void adam_block(float* w, const float* g, float* m, float* v, int64_t count, float rate,
                           float beta1, float beta2, float eps, float shrink, float decay,
                           float rescale) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const float weight = w[i] * shrink;
    const float gradient = g[i] * rescale + decay * weight;
    m[i] = beta1 * m[i] + (1 - beta1) * gradient;
    const float square = beta2 * v[i] + (1 - beta2) * gradient * gradient;
    // The fast square root gives NaN for a number so small that it is not normal.
    v[i] = square < std::numeric_limits<float>::min() ? 0.0f : square;
    w[i] = weight - rate * m[i] / (std::sqrt(v[i]) + eps);
  }
}

DISPATCHED float square_block(const float* x, int64_t count) {
  float total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t i = 0; i < count; ++i) {
    total += x[i] * x[i];
  }
  return total;
}

}  // namespace

extern "C" {

// shrink: factor on the weight first (decoupled decay); decay: added to the gradient (L2).
void gluon_bert_adam(float* w, const float* g, float* m, float* v, int64_t size, float rate,
                     float beta1, float beta2, float eps, float shrink, float decay,
                     float rescale) {
#pragma omp parallel for
  for (int64_t begin = 0; begin < size; begin += kBlock) {
    adam_block(w + begin, g + begin, m + begin, v + begin, std::min(kBlock, size - begin), rate,
               beta1, beta2, eps, shrink, decay, rescale);
  }
}

// Blocks are added in their order, so that the sum is the same with any number of threads.
double gluon_bert_sum_of_squares(const float* x, int64_t size) {
  std::vector<float> sums((size + kBlock - 1) / kBlock);
#pragma omp parallel for
  for (int64_t b = 0; b < static_cast<int64_t>(sums.size()); ++b) {
    sums[b] = square_block(x + b * kBlock, std::min(kBlock, size - b * kBlock));
  }
  double total = 0;
  for (float sum : sums) {
    total += sum;
  }
  return total;
}

}  // extern "C"

REGISTER_OP(gluon_bert_add_norm)
    .setForward(add_norm_forward, "cpu")
    .setBackward(add_norm_backward, "cpu")
    .setParseAttrs(add_norm_parse)
    .setInferType(add_norm_type)
    .setInferShape(add_norm_shape);

REGISTER_OP(gluon_bert_dropout)
    .setForward(dropout_forward, "cpu")
    .setBackward(dropout_backward, "cpu")
    .setParseAttrs(dropout_parse)
    .setInferType(dropout_type)
    .setInferShape(dropout_shape);

MXReturnValue initialize(int version) {
  return version >= 10900 ? MX_SUCCESS : MX_FAIL;
}
