// A dense layer that owns a packed copy of its weights. Included by encoder.h.
#ifndef GLUON_BERT_DENSE_LAYER_H_
#define GLUON_BERT_DENSE_LAYER_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "backend.h"
#include "thread_group.h"

namespace {

// Compute the SmoothQuant factor of each input, from the scales of the inputs on calibration texts
// (Xiao et al., 2023, section 4). The inputs are multiplied by it and the weights divided by it,
// which evens out their ranges: without it, a few large inputs of a token take most of the 256
// int8 values.
std::vector<float> smoothing_factors(const float* weight, int64_t out, int64_t in,
                                     const float* activation_scales) {
  std::vector<float> factors(in, 1.0f);
  for (int64_t k = 0; activation_scales && k < in; ++k) {
    float largest = 1e-5f;
    for (int64_t j = 0; j < out; ++j) {
      const float size = std::abs(weight[j * in + k]);
      largest = std::isfinite(size) ? std::max(largest, size) : largest;
    }
    factors[k] = std::sqrt(largest / std::max(activation_scales[k], 1e-5f));
  }
  return factors;
}

// activation_scales: (in,), used for int8, or null.
class DenseLayer {
 public:
  DenseLayer(const float* weight, const float* bias, int64_t out, int64_t in, Precision precision,
             const float* activation_scales)
      : panels_(pad_columns(out) * word_count(precision, in)), bias_(pad_columns(out)),
        scales_(pad_columns(out)), column_sums_(pad_columns(out)) {
    dense_.precision = precision;
    dense_.in = in;
    dense_.out = out;
    dense_.words = word_count(precision, in);
    dense_.panels = panels_.get();
    dense_.bias = bias_.get();
    dense_.scales = scales_.get();
    dense_.column_sums = column_sums_.data();
    std::copy_n(bias, out, bias_.get());
    std::fill(bias_.get() + out, bias_.get() + pad_columns(out), 0.0f);
    std::vector<float> smoothed;
    if (precision == Precision::kInt8) {
      factors_ = smoothing_factors(weight, out, in, activation_scales);
      dense_.factors = factors_.data();
      smoothed.resize(out * in);
      for (int64_t j = 0; j < out; ++j) {
        for (int64_t k = 0; k < in; ++k) {
          smoothed[j * in + k] = weight[j * in + k] / factors_[k];
        }
      }
      weight = smoothed.data();
    }
    backend().pack(precision, weight, out, in, panels_.get(), scales_.get(), column_sums_.data());
  }
  const Dense& get() const { return dense_; }

 private:
  FloatBuffer panels_, bias_, scales_;
  std::vector<int32_t> column_sums_;
  std::vector<float> factors_;
  Dense dense_;
};

}  // namespace

#endif  // GLUON_BERT_DENSE_LAYER_H_
