// Shared by the forward and backward passes of a BERT encoder in training.
//
// Letters: M rows, the valid tokens of all N sequences; C units; at most P rows in a part. If only
// the first token of each sequence is needed, the last layer has N rows of output.
#ifndef GLUON_BERT_TRAINING_H_
#define GLUON_BERT_TRAINING_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "backend.h"
#include "random.h"
#include "thread_group.h"

// Index of an array in the list of all parameters. Those of layer l start at
// kFirstLayer + l kArraysPerLayer.
enum ArrayIndex {
  kWordEmbeddings, kTypeEmbeddings, kPositionEmbeddings, kGamma, kBeta, kFirstLayer
};
enum LayerArrayIndex {
  kQueryKeyValue, kOutput = 2, kAttentionNorm = 4, kExpand = 6, kContract = 8, kOutputNorm = 10,
  kArraysPerLayer = 12
};

struct Network {
  int64_t units, hidden_size, heads, layers, vocab_size, num_token_types, max_length;
  Activation activation;
  Precision precision;
  bool recompute;
  float eps;

  int64_t max_width() const { return std::max(3 * units, hidden_size); }
  int64_t ffn_stride() const { return pad_columns(hidden_size) + kRowPad; }
};

constexpr int64_t kStep = 1024;  // rows that pass the feed-forward layer at a time
constexpr int64_t kBlock = 64;   // rows whose gradients of a norm are summed together
constexpr int64_t kPart = 2048;  // rows of a part with recomputation, unless a sequence is longer

inline int64_t block_count(int64_t count, int64_t size) { return (count + size - 1) / size; }

// Buffers of both passes, for batches of up to `rows` rows and parts of up to `part_rows`.
struct Scratch {
  Scratch(const Network& net, int64_t rows, int64_t part_rows, int64_t attention);

  int64_t rows, part_rows, attention_size;
  FloatBuffer hidden, gradient;          // (M, C)
  FloatBuffer tmp, context_gradient;     // (P, C)
  FloatBuffer qkv_gradient;              // (P, 3C)
  FloatBuffer activated, ffn_gradient;   // (kStep, hidden_size)
  FloatBuffer tiles, panels, weights[3], biases[3], sums, norm_sums, attention;
  ConvertedRows converted;
};

// Activations that a forward pass saves for its backward pass.
struct SavedActivations {
  SavedActivations(const Network& net, int64_t rows, int64_t part_rows, bool for_backward);

  int64_t rows, part_rows;
  bool for_backward;
  // output_sums and attention_sums: the inputs of both norms of each layer. expanded: the input of
  // the activation. With recomputation only output_sums has all layers and rows; the others have
  // one layer of a part, and `expanded` kStep rows of that.
  FloatBuffer output_sums, query_key_value, context, attention_sums, expanded;
};

struct Trainer {
  Network net;
  std::mutex mutex;  // guards scratch and idle: one pass runs at a time
  std::unique_ptr<Scratch> scratch;
  std::unique_ptr<SavedActivations> idle;  // for reuse: the first write to fresh memory is slow
};

// The forward pass of a batch, and later its backward pass.
struct Pass {
  std::shared_ptr<Trainer> trainer;
  std::vector<int32_t> ids, types;   // (M,)
  std::vector<int64_t> row_offsets;  // first row of each sequence, then M: (N + 1,)
  std::vector<int64_t> parts;        // first sequence of each part, then N
  int64_t T;                         // tokens of a sequence, with padding
  bool first_token_only;
  float dropout;
  uint64_t seed;
  int threads;
  std::unique_ptr<SavedActivations> saved;

  int64_t rows() const { return row_offsets.back(); }
  int64_t sequences() const { return static_cast<int64_t>(row_offsets.size()) - 1; }
  int64_t num_parts() const { return static_cast<int64_t>(parts.size()) - 1; }
  int64_t longest() const {
    int64_t length = 1;
    for (int64_t n = 0; n < sequences(); ++n) {
      length = std::max(length, row_offsets[n + 1] - row_offsets[n]);
    }
    return length;
  }
  // The maximum rows of a part: the same for most batches, so that buffers are allocated once.
  int64_t part_rows() const {
    return trainer->net.recompute ? std::min(rows(), std::max(kPart, longest())) : rows();
  }
};

// Rows of an array, indexed by their numbers in the batch; the first one has number `top`.
struct Rows {
  float* data;
  int64_t stride, top;

  float* operator[](int64_t row) const { return data + (row - top) * stride; }
};

// A thread's view of a pass over some of its sequences.
//
// With recomputation a layer runs over the batch part by part, so that activations that are not
// saved take the memory of one part. Without it, the batch is a single part.
struct Work {
  const Network& net;
  const Pass& pass;
  const Scratch& scratch;
  const float* const* arrays;
  ThreadGroup group;
  int64_t from, to;  // range of sequences

  Work part(int64_t number) const {
    return {net, pass, scratch, arrays, group, pass.parts[number], pass.parts[number + 1]};
  }
  // True if the backward pass, which runs the last part first, has finished other parts before.
  bool continues() const { return to < pass.sequences(); }

  // Floats from row to row: of (M, C), of (M, 3C) and of (M, hidden_size).
  int64_t stride() const { return pad_columns(net.units); }
  int64_t qkv_stride() const { return pad_columns(3 * net.units); }
  int64_t ffn_stride() const { return net.ffn_stride(); }
  // First row and number of rows: of the inputs, and of the outputs of a layer.
  int64_t top() const { return pass.row_offsets[from]; }
  int64_t rows() const { return pass.row_offsets[to] - top(); }
  bool first_token_only(int64_t layer) const {
    return pass.first_token_only && layer + 1 == net.layers;
  }
  int64_t top(int64_t layer) const { return first_token_only(layer) ? from : top(); }
  int64_t rows(int64_t layer) const { return first_token_only(layer) ? to - from : rows(); }
  // Call function(row) for `count` rows from `begin` on; the group shares them.
  template <class Function>
  void each(int64_t begin, int64_t count, Function function) const {
    for (int64_t r = begin + group.begin(count); r < begin + group.end(count); ++r) {
      function(r);
    }
    group.barrier();
  }

  const float* array(int64_t layer, int64_t index) const {
    return arrays[kFirstLayer + layer * kArraysPerLayer + index];
  }
  Norm norm(int64_t layer, int64_t index) const {
    return {array(layer, index), array(layer, index + 1), net.units, net.eps};
  }
  Norm embedding_norm() const { return {arrays[kGamma], arrays[kBeta], net.units, net.eps}; }

  Rows hidden() const { return {scratch.hidden.get(), stride(), 0}; }
  Rows gradient() const { return {scratch.gradient.get(), stride(), 0}; }
  Rows output_sums(int64_t layer) const {
    const int64_t before = pass.saved->for_backward ? layer * pass.rows() : 0;
    return {pass.saved->output_sums.get() + before * stride(), stride(), 0};
  }
  // Buffers of a part: numbered as its inputs, or as the outputs of a layer.
  Rows tmp() const { return {scratch.tmp.get(), stride(), top()}; }
  Rows tmp(int64_t layer) const { return {scratch.tmp.get(), stride(), top(layer)}; }
  Rows context_gradient(int64_t layer) const {
    return {scratch.context_gradient.get(), stride(), top(layer)};
  }
  Rows qkv_gradient() const { return {scratch.qkv_gradient.get(), qkv_stride(), top()}; }
  // Saved activations of a part, of all layers or, with recomputation, of one.
  bool saves_all_layers() const { return pass.saved->for_backward && !net.recompute; }
  Rows saved(const FloatBuffer& buffer, int64_t layer, int64_t stride, int64_t top) const {
    return {buffer.get() + (saves_all_layers() ? layer * rows() * stride : 0), stride, top};
  }
  Rows query_key_value(int64_t layer) const {
    return saved(pass.saved->query_key_value, layer, qkv_stride(), top());
  }
  Rows context(int64_t layer) const {
    return saved(pass.saved->context, layer, stride(), top(layer));
  }
  Rows attention_sums(int64_t layer) const {
    return saved(pass.saved->attention_sums, layer, stride(), top(layer));
  }
  // Up to kStep rows from `begin` on.
  Rows expanded(int64_t layer, int64_t begin) const {
    return saved(pass.saved->expanded, layer, ffn_stride(),
                 saves_all_layers() ? top(layer) : begin);
  }
  // number: 0 after the embeddings; in each layer 1 for the attention weights, 2 for the output of
  // attention, 3 for the output of the feed-forward layer.
  Dropout dropout(int64_t layer, int64_t number) const {
    uint64_t state = pass.seed + static_cast<uint64_t>(3 * layer + number);
    return {pass.dropout, split_mix(&state)};
  }
  // Task number n H + h is head h of sequence n.
  Attention head(int64_t layer, int64_t task) const;
};

// Compute the sums of embeddings, (M, C), the input of their norm.
void sum_embeddings(const Work& work, const Rows& sums);
// Write the embeddings, (M, C), to hidden.
void embed(const Work& work);
// Write the input of a layer to hidden, from saved activations.
void restore_input(const Work& work, int64_t layer);
// Run self-attention, from the layer's input in hidden to attention_sums.
void attend(const Work& work, int64_t layer);
// Write `count` rows from `begin` on of the input of the feed-forward layer to hidden.
void restore_ffn_input(const Work& work, int64_t layer, int64_t begin, int64_t count);
// Pack a weight (out, in) for y = x W^T + bias or, if transposed, y = x W, into weight buffer
// `number` of the scratch. A null bias is 0.
Dense lay_out_dense(const Work& work, int number, const float* weight, const float* bias,
                    int64_t out, int64_t in, bool transposed);
// Compute the gradients of all parameters from that of the output. on_layer, unless it is null, is
// called with the number of each layer whose gradients are final, by one thread of the group.
using OnLayer = void (*)(int64_t layer);
void run_backward(const Work& work, const float* gradient, float* const* gradients,
                  const uint8_t* adds, OnLayer on_layer);

inline Attention Work::head(int64_t layer, int64_t task) const {
  const int64_t D = net.units / net.heads, sequence = task / net.heads, head = task % net.heads;
  const int64_t row = pass.row_offsets[sequence];
  Attention a{};
  a.D = D;
  a.length = pass.row_offsets[sequence + 1] - row;
  a.queries = first_token_only(layer) ? 1 : a.length;
  a.stride = qkv_stride();
  a.output_stride = stride();
  a.input = query_key_value(layer)[row] + head * 3 * D;
  a.output = context(layer)[first_token_only(layer) ? sequence : row] + head * D;
  const Dropout of_weights = dropout(layer, 1);
  a.dropout = of_weights.rate;
  a.seed = of_weights.seed + 0x9e3779b97f4a7c15ULL * static_cast<uint64_t>(task);
  return a;
}

#endif  // GLUON_BERT_TRAINING_H_
