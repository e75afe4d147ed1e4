// A dense layer that owns a packed copy of its weights. Included by encoder.h.
#ifndef GLUON_BERT_DENSE_LAYER_H_
#define GLUON_BERT_DENSE_LAYER_H_

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <vector>

#include "backend.h"
#include "thread_group.h"

namespace {

// The weight (out, in) and the bias (out,) of a dense layer as they lie in memory: in one piece, or
// in three for query, key and value, whose rows are joined in the order (heads, 3, D). The rows of
// one part's heads lie `weight_stride` floats apart, its biases `bias_stride`.
struct Source {
  const float *weights[3], *biases[3];
  int64_t out, in;
  int64_t D = 0;  // rows of one head, 0 for a matrix in one piece
  int64_t weight_stride = 0, bias_stride = 0;

  const float* row(int64_t j) const {
    return D ? weights[part(j)] + head(j) * weight_stride + j % D * in : weights[0] + j * in;
  }
  float bias(int64_t j) const {
    return D ? biases[part(j)][head(j) * bias_stride + j % D] : biases[0][j];
  }

 private:
  int64_t head(int64_t j) const { return j / (3 * D); }
  int64_t part(int64_t j) const { return j / D % 3; }
};

// Compute the SmoothQuant factor of each input, from the scales of the inputs on calibration texts
// (Xiao et al., 2023, section 4). The inputs are multiplied by it and the weights divided by it,
// which evens out their ranges: without it, a few large inputs of a token take most of the 256
// int8 values.
inline void smoothing_factors(const Source& source, const float* activation_scales,
                              std::vector<float>& factors) {
  if (!activation_scales) {
    return;
  }
  std::fill(factors.begin(), factors.end(), 1e-5f);
  for (int64_t j = 0; j < source.out; ++j) {
    backend().raise_maxima(source.row(j), source.in, factors.data());
  }
  for (int64_t k = 0; k < source.in; ++k) {
    factors[k] = std::sqrt(factors[k] / std::max(activation_scales[k], 1e-5f));
  }
}

// The weights are packed after construction: call place, find_factors, then pack for all panels.
class DenseLayer {
 public:
  // activation_scales: (in,), used for int8, or null.
  DenseLayer(const Source& source, Precision precision, const float* activation_scales)
      : source_(source), activation_scales_(activation_scales),
        bias_(pad_columns(source.out)), scales_(pad_columns(source.out)),
        column_sums_(pad_columns(source.out)),
        factors_(precision == Precision::kInt8 ? source.in : 0, 1.0f) {
    dense_.precision = precision;
    dense_.in = source.in;
    dense_.out = source.out;
    dense_.words = word_count(precision, source.in);
    dense_.bias = bias_.get();
    dense_.scales = scales_.get();
    dense_.column_sums = column_sums_.data();
    dense_.factors = factors_.data();
    std::fill_n(bias_.get(), pad_columns(source.out), 0.0f);
    std::fill_n(scales_.get(), pad_columns(source.out), 1.0f);
    for (int64_t j = 0; j < source.out; ++j) {
      bias_.get()[j] = source.bias(j);
    }
  }
  const Dense& get() const { return dense_; }
  // Floats of the packed weights, in complete cache lines.
  int64_t packed_size() const {
    const int64_t size = pad_columns(dense_.out) * dense_.words;
    return (size + kRowPad - 1) / kRowPad * kRowPad;
  }
  // Set where the packed weights go.
  void place(float* panels) { dense_.panels = panels_ = panels; }
  int64_t panel_count() const { return pad_columns(dense_.out) / backend().columns; }

  void find_factors() {
    if (dense_.precision == Precision::kInt8) {
      smoothing_factors(source_, activation_scales_, factors_);
    }
  }

  // Pack one panel. scratch: of the floats that `scratch_size` tells.
  void pack(int64_t panel, float* scratch) {
    const int64_t columns = backend().columns, in = dense_.in, first = panel * columns;
    const int64_t count = std::min(columns, dense_.out - first);
    float* target = panels_ + first * dense_.words;
    if (dense_.precision == Precision::kInt8) {
      // Words of int8 are laid out as floats are, without a look at their values.
      for (int64_t j = 0; j < count; ++j) {
        uint32_t* words = reinterpret_cast<uint32_t*>(scratch + in + j * dense_.words);
        backend().quantize(source_.row(first + j), factors_.data(), in, words,
                           scales_.get() + first + j, column_sums_.data() + first + j, scratch);
      }
      backend().lay_out(Precision::kFloat32, scratch + in, 1, dense_.words, dense_.words, count, 0,
                        1, target);
      return;
    }
    const float* rows = source_.row(first);
    if (source_.D) {
      for (int64_t j = 0; j < count; ++j) {
        std::copy_n(source_.row(first + j), in, scratch + j * in);
      }
      rows = scratch;
    }
    backend().lay_out(dense_.precision, rows, 1, in, in, count, 0, 1, target);
  }
  int64_t scratch_size() const { return (backend().columns + 1) * dense_.in; }

 private:
  Source source_;
  const float* activation_scales_;
  float* panels_ = nullptr;
  FloatBuffer bias_, scales_;
  std::vector<int32_t> column_sums_;
  std::vector<float> factors_;
  Dense dense_;
};

// Pack the weights of layers, which several threads share out panel by panel. They lie in one piece,
// which is returned: its huge pages are many times fewer to be made than pages of 4 kB.
inline FloatBuffer pack_layers(const std::vector<DenseLayer*>& layers, int threads) {
  int64_t each = 0, total = 0;
  for (const DenseLayer* layer : layers) {
    each = std::max(each, layer->scratch_size());
    total += layer->packed_size();
  }
  FloatBuffer packed(total);
  float* place = packed.get();
  for (DenseLayer* layer : layers) {
    layer->place(place);
    place += layer->packed_size();
  }
  const FloatBuffer scratch(each * threads);
  std::atomic<size_t> next_layer{0};
  std::vector<std::atomic<int64_t>> next_panel(layers.size());
  for (auto& panel : next_panel) {
    panel = 0;
  }
  run_parallel(threads, [&](const ThreadGroup& group) {
    for (size_t i; (i = next_layer++) < layers.size();) {
      layers[i]->find_factors();
    }
    group.barrier();
    for (size_t i = 0; i < layers.size(); ++i) {
      for (int64_t panel; (panel = next_panel[i]++) < layers[i]->panel_count();) {
        layers[i]->pack(panel, scratch.get() + group.rank * each);
      }
    }
  });
  return packed;
}

// A dense layer with its own weights.
struct SingleLayer {
  SingleLayer(const Source& source, Precision precision, const float* activation_scales)
      : layer(source, precision, activation_scales), packed(pack_layers({&layer}, 1)) {}
  DenseLayer layer;
  FloatBuffer packed;
};

}  // namespace

#endif  // GLUON_BERT_DENSE_LAYER_H_
