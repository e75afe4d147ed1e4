// What the forward and the backward pass of a BERT encoder in training share.
//
// Letters: M rows, the valid tokens of all N sequences; C units; P rows of a part, at most. Of the
// last layer a batch has N rows of output where only the first token of each sequence is wanted.
#ifndef GLUON_BERT_TRAINING_H_
#define GLUON_BERT_TRAINING_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "backend.h"
#include "random.h"
#include "team.h"

// Where an array stands in the list of them all, and one of layer l from kLayers + l kOfLayer on.
enum Place { kWords, kTypes, kPositions, kGamma, kBeta, kLayers };
enum LayerPlace {
  kQueryKeyValue, kOutput = 2, kAttentionNorm = 4, kExpand = 6, kContract = 8, kOutputNorm = 10,
  kOfLayer = 12
};

struct Network {
  int64_t units, hidden_size, heads, layers, words, types, positions;
  Activation activation;
  Precision precision;
  bool recompute;
  float eps;

  int64_t wide() const { return std::max(3 * units, hidden_size); }
  int64_t inner() const { return whole(hidden_size) + kApart; }  // floats from row to row
};

constexpr int64_t kStep = 1024;  // rows of the feed-forward layer at a time
constexpr int64_t kBlock = 64;   // rows whose gradients are added up before others are
constexpr int64_t kPart = 2048;  // rows of a part with recomputation, if no sequence is longer

inline int64_t blocks(int64_t count, int64_t size) { return (count + size - 1) / size; }

// What both passes work in, for batches of up to `rows` rows and parts of up to `part_rows`.
struct Scratch {
  Scratch(const Network& net, int64_t rows, int64_t part_rows, int64_t attention);

  int64_t rows, part_rows, attention_size;
  Floats hidden, gradient;                     // (M, C)
  Floats spare, context_gradient;              // (P, C)
  Floats wide_gradient;                        // (P, 3C)
  Floats inner, inner_gradient;                // (kStep, hidden_size)
  Floats tiles, panels, weights[3], biases[3], sums, norm_sums, attention;
  Converted converted;
};

// What one forward pass leaves for its backward pass.
struct Kept {
  Kept(const Network& net, int64_t rows, int64_t part_rows, bool for_backward);

  int64_t rows, part_rows;
  bool for_backward;
  // Sums before the norms of each layer, and what attention and the feed-forward layer read;
  // with recomputation only `outputs` for all layers and rows, the others for one layer of a part.
  // Of `inner`, then, kStep.
  Floats outputs, query_key_value, context, attended, inner;
};

struct Trainer {
  Network net;
  std::mutex mutex;  // one pass at a time has the scratch
  std::unique_ptr<Scratch> scratch;
  std::unique_ptr<Kept> idle;  // fresh memory is slow the first time it is written to
};

// One batch on its way, from its forward pass on.
struct Pass {
  std::shared_ptr<Trainer> trainer;
  std::vector<int32_t> ids, types;  // (M,)
  std::vector<int64_t> first;       // row of each sequence's first token, and M: (N + 1,)
  std::vector<int64_t> parts;       // each part's first sequence, and N
  int64_t T;                        // tokens of a sequence, with padding
  bool first_only;
  float dropped;
  uint64_t seed;
  int threads;
  std::unique_ptr<Kept> kept;

  int64_t rows() const { return first.back(); }
  int64_t sequences() const { return static_cast<int64_t>(first.size()) - 1; }
  int64_t num_parts() const { return static_cast<int64_t>(parts.size()) - 1; }
  int64_t longest() const {
    int64_t found = 1;
    for (int64_t n = 0; n < sequences(); ++n) {
      found = std::max(found, first[n + 1] - first[n]);
    }
    return found;
  }
  // Of a part, at most; the same for most batches, so that room for it is made once.
  int64_t part_rows() const {
    return trainer->net.recompute ? std::min(rows(), std::max(kPart, longest())) : rows();
  }
};

// Some rows of an array, by their numbers in the batch.
struct Rows {
  float* data;
  int64_t stride, top;  // top: the number of the first

  float* operator[](int64_t row) const { return data + (row - top) * stride; }
};

// A pass at work on some sequences: everything a thread needs to know.
//
// With recomputation a layer goes through the batch in parts, so that what is not kept takes the
// memory of one part; else a part is the batch.
struct Work {
  const Network& net;
  const Pass& pass;
  const Scratch& scratch;
  const float* const* arrays;
  Team team;
  int64_t from, to;  // the sequences

  Work part(int64_t number) const {
    return {net, pass, scratch, arrays, team, pass.parts[number], pass.parts[number + 1]};
  }
  // In the backward pass, whose parts begin with the last: whether there were others.
  bool continues() const { return to < pass.sequences(); }

  int64_t C() const { return whole(net.units); }  // floats from row to row
  int64_t wide() const { return whole(3 * net.units); }
  int64_t inner() const { return net.inner(); }
  // Rows of the inputs, and of the outputs of a layer.
  int64_t top() const { return pass.first[from]; }
  int64_t rows() const { return pass.first[to] - top(); }
  bool is_short(int64_t layer) const { return pass.first_only && layer + 1 == net.layers; }
  int64_t top(int64_t layer) const { return is_short(layer) ? from : top(); }
  int64_t rows(int64_t layer) const { return is_short(layer) ? to - from : rows(); }
  // function(row) for `count` rows from `begin` on, shared by the team.
  template <class Function>
  void each(int64_t begin, int64_t count, Function function) const {
    for (int64_t r = begin + team.begin(count); r < begin + team.end(count); ++r) {
      function(r);
    }
    team.wait();
  }

  const float* array(int64_t layer, int64_t place) const {
    return arrays[kLayers + layer * kOfLayer + place];
  }
  Norm norm(int64_t layer, int64_t place) const {
    return {array(layer, place), array(layer, place + 1), net.units, net.eps};
  }
  Norm first_norm() const { return {arrays[kGamma], arrays[kBeta], net.units, net.eps}; }

  Rows hidden() const { return {scratch.hidden.get(), C(), 0}; }
  Rows gradient() const { return {scratch.gradient.get(), C(), 0}; }
  Rows outputs(int64_t layer) const {
    const int64_t before = pass.kept->for_backward ? layer * pass.rows() : 0;
    return {pass.kept->outputs.get() + before * C(), C(), 0};
  }
  // Of a part alone: of its inputs, and of the outputs of a layer.
  Rows spare() const { return {scratch.spare.get(), C(), top()}; }
  Rows spare(int64_t layer) const { return {scratch.spare.get(), C(), top(layer)}; }
  Rows context_gradient(int64_t layer) const {
    return {scratch.context_gradient.get(), C(), top(layer)};
  }
  Rows wide_gradient() const { return {scratch.wide_gradient.get(), wide(), top()}; }
  // The same, of all layers or, with recomputation, of one.
  bool keeps_layers() const { return pass.kept->for_backward && !net.recompute; }
  Rows of_layer(const Floats& kept, int64_t layer, int64_t stride, int64_t top) const {
    return {kept.get() + (keeps_layers() ? layer * rows() * stride : 0), stride, top};
  }
  Rows query_key_value(int64_t layer) const {
    return of_layer(pass.kept->query_key_value, layer, wide(), top());
  }
  Rows context(int64_t layer) const {
    return of_layer(pass.kept->context, layer, C(), top(layer));
  }
  Rows attended(int64_t layer) const {
    return of_layer(pass.kept->attended, layer, C(), top(layer));
  }
  // Of up to kStep rows from `begin` on.
  Rows expanded(int64_t layer, int64_t begin) const {
    return of_layer(pass.kept->inner, layer, inner(), keeps_layers() ? top(layer) : begin);
  }
  // Number 0: after the embeddings; 1, 2 and 3 of a layer: attention, and both outputs.
  Dropout dropout(int64_t layer, int64_t number) const {
    uint64_t state = pass.seed + static_cast<uint64_t>(3 * layer + number);
    return {pass.dropped, split_mix(&state)};
  }
  // Tasks are the heads of all sequences of the batch, numbered in this order.
  Attention head(int64_t layer, int64_t task) const;
};

// The sums of embeddings, (M, C), before their norm.
void sum_embeddings(const Work& work, const Rows& sums);
// hidden becomes the embeddings, (M, C).
void embed(const Work& work);
// hidden becomes the input of a layer, from what is kept.
void restore_input(const Work& work, int64_t layer);
// From the layer's input in hidden to `attended`.
void attend(const Work& work, int64_t layer);
// Rows from `begin` on of a layer: hidden becomes what the feed-forward layer reads.
void restore_middle(const Work& work, int64_t layer, int64_t begin, int64_t count);
// y = x W^T + bias, or, transposed, y = x W, of a weight (out, in); its number is that of the space
// it is laid out in, and without bias it is 0.
Dense lay_out_dense(const Work& work, int number, const float* weight, const float* bias,
                    int64_t out, int64_t in, bool transposed);
// Of all parameters, from the gradient of the output.
void run_backward(const Work& work, const float* gradient, float* const* gradients,
                  const uint8_t* adds);

inline Attention Work::head(int64_t layer, int64_t task) const {
  const int64_t D = net.units / net.heads, sequence = task / net.heads, head = task % net.heads;
  const int64_t row = pass.first[sequence];
  Attention a{};
  a.D = D;
  a.length = pass.first[sequence + 1] - row;
  a.queries = is_short(layer) ? 1 : a.length;
  a.stride = wide();
  a.output_stride = C();
  a.input = query_key_value(layer)[row] + head * 3 * D;
  a.output = context(layer)[is_short(layer) ? sequence : row] + head * D;
  const Dropout weights = dropout(layer, 1);
  a.dropped = weights.dropped;
  a.seed = weights.seed + 0x9e3779b97f4a7c15ULL * static_cast<uint64_t>(task);
  return a;
}

#endif  // GLUON_BERT_TRAINING_H_
